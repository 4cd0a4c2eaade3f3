package e2e

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"muster/api"
	"muster/internal/notify/notifytest"
)

var notifications = flag.Int("notifications", 2000, "how many messages are sent while the server is killed; with -figures ten thousand")

// arrival is a message as a receiver took it.
type arrival struct {
	incident, kind string
	starts         []int // during which run of the server it was taken, each time
	order          int   // when it was taken first, among all
	delay          time.Duration
}

// shaky is the receiver of a webhook that often does not take what it is sent.
type shaky struct {
	t      testing.TB
	name   string
	id     string
	secret string
	runs   *atomic.Int64 // of the server, so far
	fails  func(w http.ResponseWriter, r *http.Request, n int) bool
	open   atomic.Int64 // connections
	server *httptest.Server

	mu       sync.Mutex
	requests int
	refused  int
	strayed  int // requests to where a redirect led
	took     map[string]*arrival
}

func newShaky(t testing.TB, name string, runs *atomic.Int64, fails func(w http.ResponseWriter, r *http.Request, n int) bool) *shaky {
	k := &shaky{t: t, name: name, runs: runs, fails: fails, took: map[string]*arrival{}}
	k.server = httptest.NewUnstartedServer(k)
	k.server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			k.open.Add(1)
		case http.StateClosed:
			k.open.Add(-1)
		}
	}
	k.server.Start()
	t.Cleanup(func() {
		k.server.CloseClientConnections()
		k.server.Close()
	})
	return k
}

func (k *shaky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	k.requests++
	n := k.requests
	if r.URL.Path != "/hook" {
		k.strayed++
	}
	k.mu.Unlock()
	refused := func() {
		k.mu.Lock()
		k.refused++
		k.mu.Unlock()
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		refused()
		return
	}
	defer func() { // a behaviour may panic to break the connection
		if fault := recover(); fault != nil {
			refused()
			panic(fault)
		}
	}()
	if k.fails(w, r, n) {
		refused()
		return
	}
	if err := proves(k.secret, r.Header, body); err != nil {
		k.t.Error(err)
	}
	var m told
	if err := json.Unmarshal(body, &m); err != nil {
		k.t.Error(err)
	}
	k.take(r.Header.Get("webhook-id"), &m)
	io.WriteString(w, "thanks")
}

func (k *shaky) take(id string, m *told) {
	k.mu.Lock()
	defer k.mu.Unlock()
	a := k.took[id]
	if a == nil {
		a = &arrival{incident: m.Data.Incident.ID, kind: strings.TrimPrefix(m.Type, "incident."), order: k.requests, delay: time.Since(m.Timestamp)}
		k.took[id] = a
	}
	a.starts = append(a.starts, int(k.runs.Load()))
}

func (k *shaky) size() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.took)
}

// unruly are five receivers, each bad in a way of its own.
func unruly(t testing.TB, runs *atomic.Int64) []*shaky {
	status := func(code int, headers ...string) notifytest.Behaviour { return notifytest.Refuse(code, headers...) }
	behave := func(b notifytest.Behaviour, when func(n int) bool) func(http.ResponseWriter, *http.Request, int) bool {
		return func(w http.ResponseWriter, r *http.Request, n int) bool {
			if when(n) {
				b(w, r, n)
			}
			return when(n)
		}
	}
	return []*shaky{
		newShaky(t, "flaps", runs, behave(status(http.StatusInternalServerError), func(n int) bool { return n/20%4 == 3 })),
		newShaky(t, "hangs", runs, behave(notifytest.Hang, func(n int) bool { return n == 5 || n == 60 || n == 180 })),
		newShaky(t, "limits", runs, behave(status(http.StatusTooManyRequests, "Retry-After", "1"), func(n int) bool { return n%97 == 30 })),
		newShaky(t, "redirects", runs, behave(status(http.StatusTemporaryRedirect, "Location", "/elsewhere"), func(n int) bool { return n%23 == 0 })),
		newShaky(t, "breaks off", runs, func(w http.ResponseWriter, r *http.Request, n int) bool {
			switch n % 29 {
			case 11:
				notifytest.HangUp(w, r, n)
			case 23:
				notifytest.BreakOff(w, r, n)
			}
			return false
		}),
	}
}

// flood is many push checks that fail and are well in turn.
type flood struct {
	*server
	client *http.Client
	checks []string // the addresses they are called at
	runs   atomic.Int64
	to     []*shaky
}

// call tells of one check's state until the server has it for sure.
func (f *flood) call(at, status string) error {
	for end := time.Now().Add(2 * patience); ; time.Sleep(30 * time.Millisecond) {
		res, err := f.client.Post(at+"?"+url.Values{"status": {status}}.Encode(), "text/plain", nil)
		if err == nil {
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
			err = fmt.Errorf("the answer is %s", res.Status)
		}
		if time.Now().After(end) {
			return err
		}
	}
}

// round turns all checks, a few at a time.
func (f *flood) round(status string) {
	f.t.Helper()
	places := make(chan struct{}, 16)
	var all sync.WaitGroup
	for _, at := range f.checks {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			if err := f.call(at, status); err != nil {
				f.t.Errorf("a call: %v", err)
			}
		})
	}
	all.Wait()
}

// crash kills the server and starts it again once all that it sent was dealt with.
func (f *flood) crash() {
	f.kill()
	end := time.Now().Add(patience)
	for quiet := 0; quiet < 5 && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		quiet++
		for _, k := range f.to {
			if k.open.Load() > 0 {
				quiet = 0
			}
		}
	}
	f.runs.Add(1)
	f.start()
}

// TestFlood sends many messages to receivers that flap, hang, limit, redirect and break off, while the server is
// killed again and again: nobody misses one, and one comes twice only across a kill, under the same id.
func TestFlood(t *testing.T) {
	t.Parallel()
	const rounds = 20
	total, kills, pause := *notifications, 5, 500*time.Millisecond
	if *figures {
		total, kills, pause = 10_000, 8, 1500*time.Millisecond
	}
	f := &flood{server: watchman(t, "--no-agent"), client: &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 32}}}
	f.to = unruly(t, &f.runs)
	for _, k := range f.to {
		k.id, k.secret = f.hookAt(k.name, k.server.URL+"/hook", fields{"default": true})
	}
	f.failsAtOnce()
	for n := range max(1, total/rounds/len(f.to)) {
		c := f.check("push", nil, fields{"name": fmt.Sprintf("job-%03d", n), "period": "1h", "timeout": ""})
		f.checks = append(f.checks, c.PushURL)
	}
	begun := time.Now()
	var crashes sync.WaitGroup
	crashes.Go(func() {
		for range kills {
			time.Sleep(rounds * pause / time.Duration(kills))
			f.crash()
		}
	})
	for n := range rounds {
		f.round([]string{"critical", "ok"}[n%2])
		time.Sleep(pause)
	}
	crashes.Wait()
	want := len(f.checks) * rounds
	for _, k := range f.to {
		until(t, 4*patience, fmt.Sprintf("all %d messages came to the one that %s", want, k.name), func() bool { return k.size() >= want })
	}
	took := time.Since(begun)
	f.agrees()
	f.kill()
	f.lossless(want)
	f.print(kills, took)
}

// agrees compares what the API says of the messages of some incidents with what came.
func (f *flood) agrees() {
	f.t.Helper()
	for _, in := range list[api.Incident](f.server, api.PathIncidents+"?limit=10") {
		for _, k := range f.to {
			for _, kind := range []string{"opened", "resolved"} {
				d := f.tells(in.ID, k.id, "incident."+kind, "delivered")
				k.mu.Lock()
				a := k.took[d.Message]
				k.mu.Unlock()
				if a == nil || a.incident != in.ID || a.kind != kind {
					f.t.Errorf("%s: delivery %+v came as %+v", k.name, d, a)
				}
			}
		}
	}
}

// lossless holds what came against the log.
func (f *flood) lossless(want int) {
	f.t.Helper()
	log := once(f.t, f.steps())
	steps := 0
	for id, kinds := range log {
		steps += len(kinds)
		if !slices.Equal(kinds, []string{"opened", "resolved"}) {
			f.t.Errorf("in the log %s was %v", id, kinds)
		}
	}
	if steps != want {
		f.t.Errorf("in the log are %d steps, want %d", steps, want)
	}
	for _, k := range f.to {
		when := map[string]map[string]int{}
		for id, a := range k.took {
			if when[a.incident] == nil {
				when[a.incident] = map[string]int{}
			}
			if _, twice := when[a.incident][a.kind]; twice {
				f.t.Errorf("%s: %s of %s came under two ids", k.name, a.kind, a.incident)
			}
			when[a.incident][a.kind] = a.order
			if !slices.IsSorted(a.starts) || len(slices.Compact(slices.Clone(a.starts))) != len(a.starts) {
				f.t.Errorf("%s: message %s came in these runs of the server: %v", k.name, id, a.starts)
			}
		}
		for id, kinds := range log {
			if at := when[id]; len(at) != len(kinds) || at["opened"] > at["resolved"] {
				f.t.Errorf("%s: of %s, which was %v, it heard %v", k.name, id, kinds, at)
			}
		}
		if k.strayed > 0 {
			f.t.Errorf("%s: a redirect was followed %d times", k.name, k.strayed)
		}
	}
}

func (f *flood) print(kills int, took time.Duration) {
	f.t.Helper()
	all, twice := 0, 0
	for _, k := range f.to {
		var delays []time.Duration
		again := 0
		for _, a := range k.took {
			delays = append(delays, a.delay)
			again += len(a.starts) - 1
		}
		slices.Sort(delays)
		all, twice = all+len(k.took), twice+again
		f.t.Logf("the one that %s: %d messages in %d requests, %d of them not taken, %d messages came again; delay p50 %s, most %s", k.name, len(k.took), k.requests,
			k.refused, again, delays[len(delays)/2].Round(time.Millisecond), delays[len(delays)-1].Round(time.Millisecond))
	}
	f.t.Logf("%d notifications, %d kills, %s: 0 lost, %d came again, only across a kill and under the same id", all, kills, took.Round(100*time.Millisecond), twice)
}
