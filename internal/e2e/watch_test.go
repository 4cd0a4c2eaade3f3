package e2e

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"muster/api"
	"muster/internal/notify/notifytest"
)

// fields are the body of a request.
type fields map[string]any

// watchman starts a server, its own agent within it: that one runs the checks.
func watchman(t testing.TB, args ...string) *server {
	t.Helper()
	s := newServer(t, args...)
	s.start()
	s.ready()
	return s
}

// in gives the server to a test beside others.
func (s *server) in(t testing.TB) *server {
	c := *s
	c.t = t
	return &c
}

// try asks the API and gives the code and the text of the answer.
func (s *server) try(method, path string, body any) (code int, text string) {
	s.t.Helper()
	sent, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, bytes.NewReader(sent))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	req.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		req.Header.Set("Content-Type", "application/merge-patch+json")
	}
	return s.send(http.DefaultClient, req)
}

// answer gives what the API answers to a question, which has to be a good answer.
func answer[T any](s *server, method, path string, body any) (out T) {
	s.t.Helper()
	code, text := s.try(method, path, body)
	if code/100 != 2 {
		s.t.Fatalf("%s %s: %d %s", method, path, code, text)
	}
	if text != "" {
		if err := json.Unmarshal([]byte(text), &out); err != nil {
			s.t.Fatalf("%s %s: %v in %s", method, path, err, text)
		}
	}
	return out
}

func get[T any](s *server, path string) T {
	s.t.Helper()
	return answer[T](s, "GET", path, nil)
}

func list[T any](s *server, path string) []T {
	s.t.Helper()
	return get[api.List[T]](s, path).Items
}

// check makes a check of a kind that has time to answer on a busy machine too; more are fields of its document.
func (s *server) check(kind string, config fields, more fields) api.Check {
	s.t.Helper()
	body := fields{"kind": kind, "config": config, "period": "2s", "timeout": "1900ms"}
	for key, value := range more {
		body[key] = value
	}
	return answer[api.Check](s, "POST", api.PathChecks, body)
}

func (s *server) checkOf(id string) api.Check {
	s.t.Helper()
	return get[api.Check](s, api.PathChecks+"/"+id)
}

// awaits waits until a check has a status, and gives it.
func (s *server) awaits(id, status string) (c api.Check) {
	s.t.Helper()
	defer func() {
		if c.Status != status {
			s.t.Logf("the check is: %s %+v", c.Status, c.Last)
		}
	}()
	until(s.t, 2*patience, "the check is "+status, func() bool {
		c = s.checkOf(id)
		return c.Status == status
	})
	return c
}

// hasten changes an alarm that is there from the start.
func (s *server) hasten(builtIn string, change fields) api.Alarm {
	s.t.Helper()
	for _, a := range list[api.Alarm](s, api.PathAlarms) {
		if a.BuiltIn == builtIn {
			return answer[api.Alarm](s, "PATCH", api.PathAlarms+"/"+a.ID, change)
		}
	}
	s.t.Fatalf("there is no alarm %s", builtIn)
	return api.Alarm{}
}

// failsAtOnce makes the alarm on failing checks fire at the first failing run.
func (s *server) failsAtOnce() api.Alarm {
	s.t.Helper()
	return s.hasten("check-failing", fields{"condition": fields{"for": "0s"}})
}

// incidents gives those of a check or a node, the newest first.
func (s *server) incidents(subject string) []api.Incident {
	s.t.Helper()
	kind, _, _ := strings.Cut(subject, "_")
	return list[api.Incident](s, api.PathIncidents+"?"+kind+"="+subject)
}

func (s *server) incident(id string) api.Incident {
	s.t.Helper()
	return get[api.Incident](s, api.PathIncidents+"/"+id)
}

// opens waits for the incident of a check or node that is not over.
func (s *server) opens(subject string) (in api.Incident) {
	s.t.Helper()
	until(s.t, 3*patience, "an incident of "+subject+" opens", func() bool {
		all := s.incidents(subject)
		at := slices.IndexFunc(all, func(i api.Incident) bool { return i.State != "resolved" })
		if at >= 0 {
			in = all[at]
		}
		return at >= 0
	})
	return in
}

// turns waits until an incident has a state.
func (s *server) turns(id, state string) (in api.Incident) {
	s.t.Helper()
	until(s.t, 3*patience, "the incident is "+state, func() bool {
		in = s.incident(id)
		return in.State == state
	})
	return in
}

// tells waits until the last attempt of a message to a channel came out like this, and gives it.
func (s *server) tells(incident, channel, kind, status string) (d api.Delivery) {
	s.t.Helper()
	until(s.t, 3*patience, fmt.Sprintf("%s of %s is %s", kind, channel, status), func() bool {
		d = api.Delivery{}
		for _, each := range s.incident(incident).Deliveries { // oldest first
			if each.Channel == channel && each.Type == kind {
				d = each
			}
		}
		return d.Status == status
	})
	return d
}

// told is a webhook's message as it arrived, its signature proved.
type told struct {
	ID        string `json:"-"` // of the message
	Type      string
	Timestamp time.Time
	Data      struct {
		Incident api.Incident
		Node     *api.Node
		URL      string
	}
}

// hook is the receiver of a webhook.
type hook struct {
	*notifytest.Receiver
	t      testing.TB
	id     string // of the channel
	secret string
	down   atomic.Bool // it answers 503
	taken  atomic.Int64
}

// hookOf makes a receiver and its channel.
func (s *server) hookOf(name string, more fields) *hook {
	s.t.Helper()
	h := &hook{t: s.t}
	h.Receiver = notifytest.NewReceiver(s.t, func(w http.ResponseWriter, r *http.Request, n int) {
		if h.down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		h.taken.Add(1)
		io.WriteString(w, "thanks")
	})
	h.id, h.secret = s.hookAt(name, h.URL+"/hook", more)
	return h
}

// hookAt makes a webhook channel and gives its id and the secret that was made for it.
func (s *server) hookAt(name, url string, more fields) (id, secret string) {
	s.t.Helper()
	body := fields{"name": name, "kind": "webhook", "config": fields{"url": url}}
	for key, value := range more {
		body[key] = value
	}
	c := answer[api.Channel](s, "POST", api.PathChannels, body)
	var config struct{ Secret string }
	if err := json.Unmarshal(c.Config, &config); err != nil || !strings.HasPrefix(config.Secret, "whsec_") {
		s.t.Fatalf("the secret that was made is not shown: %s (%v)", c.Config, err)
	}
	if again := get[api.Channel](s, api.PathChannels+"/"+c.ID); bytes.Contains(again.Config, []byte("whsec_")) {
		s.t.Errorf("the secret is shown twice: %s", again.Config)
	}
	return c.ID, config.Secret
}

// proves checks a signature as a receiver by the Standard Webhooks specification would.
func proves(secret string, header http.Header, body []byte) error {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return err
	}
	id, stamp := header.Get("webhook-id"), header.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return fmt.Errorf("the timestamp: %w", err)
	}
	if off := time.Since(time.Unix(seconds, 0)).Abs(); off > 5*time.Minute {
		return fmt.Errorf("the timestamp is %s off", off)
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", id, stamp, body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	for _, given := range strings.Fields(header.Get("webhook-signature")) {
		if id != "" && hmac.Equal([]byte(given), []byte(want)) {
			return nil
		}
	}
	return fmt.Errorf("the signature %q of message %q is none", header.Get("webhook-signature"), id)
}

func read(t testing.TB, secret string, r notifytest.Request) (m told) {
	t.Helper()
	if err := proves(secret, r.Header, r.Body); err != nil {
		t.Error(err)
	}
	if err := json.Unmarshal(r.Body, &m); err != nil {
		t.Fatalf("%v in %s", err, r.Body)
	}
	m.ID = r.Header.Get("webhook-id")
	return m
}

// heard gives all that came, in order.
func (h *hook) heard() (all []told) {
	h.t.Helper()
	for _, r := range h.Got() {
		all = append(all, read(h.t, h.secret, r))
	}
	return all
}

// of gives the types of the messages of an incident, in the order in which they came.
func (h *hook) of(incident string) (types []string) {
	h.t.Helper()
	for _, m := range h.heard() {
		if m.Data.Incident.ID == incident {
			types = append(types, strings.TrimPrefix(m.Type, "incident."))
		}
	}
	return types
}

// hears waits for a message of an incident.
func (h *hook) hears(incident, kind string) (found told) {
	h.t.Helper()
	until(h.t, 3*patience, "the receiver hears "+kind, func() bool {
		for _, m := range h.heard() {
			if m.Data.Incident.ID == incident && m.Type == kind {
				found = m
				return true
			}
		}
		return false
	})
	return found
}
