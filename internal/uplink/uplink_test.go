package uplink_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"muster"
	"muster/internal/uplink"
	"muster/internal/wire"
)

func upTo(n int64) (want []int64) {
	for at := range n {
		want = append(want, at)
	}
	return want
}

func TestFramesArriveInOrderAndAreAcknowledged(t *testing.T) {
	server := newFakeServer(t)
	r := newRig(t, server.http.URL, nil)
	r.add(0, 500)
	server.until("500 frames", func() bool { return len(server.frames) >= 500 })
	if got := server.distinct(); !slices.Equal(got, upTo(500)) {
		t.Errorf("got %v", got)
	}
	waitFor(t, "all acknowledged", func() bool { return r.spool.Stats().Pending == 0 })
	if f := server.frames[7]; f.Source != muster.HostSource || f.Values[1] != 7.1 {
		t.Errorf("frame 7 is %+v", f)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	server.until("goodbye", func() bool { return slices.Equal(server.goodbyes, []muster.FarewellReason{muster.FarewellStop}) })
}

func waitFor(t *testing.T, what string, is func() bool) {
	t.Helper()
	for range 2000 {
		if is() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("waited in vain: %s", what)
}

func TestNothingIsLostWhenTheConnectionBreaksAgainAndAgain(t *testing.T) {
	server := newFakeServer(t)
	r := newRig(t, server.http.URL, nil)
	for round := range int64(8) {
		server.do(func() { server.acking = round%2 == 0 })
		r.add(round*50, round*50+50)
		server.until("frames of the round", func() bool { return len(server.distinct()) >= int(round*50+25) })
		if round%2 == 0 { // an acknowledgement, or the pauses would grow and grow
			waitFor(t, "an acknowledgement", func() bool { return r.spool.Stats().Pending <= 25 })
		}
		server.cut()
	}
	server.do(func() { server.acking = true })
	server.until("all frames", func() bool { return len(server.distinct()) == 400 })
	if got := server.distinct(); !slices.Equal(got, upTo(400)) {
		t.Errorf("order of first arrival: %v", got)
	}
	waitFor(t, "all acknowledged", func() bool { return r.spool.Stats().Pending == 0 })
	if n := r.uplink.Stats().Connections; n < 3 {
		t.Errorf("connected %d times", n)
	}
}

func TestFramesSurviveTheDeathOfTheProcess(t *testing.T) {
	server := newFakeServer(t)
	server.acking = false
	r := newRig(t, server.http.URL, nil)
	r.add(0, 100)
	server.until("frames", func() bool { return len(server.frames) > 0 })
	// What a killed process leaves is its files, here in a copy taken while it runs.
	dead := t.TempDir()
	if err := os.CopyFS(filepath.Join(dead, "state"), os.DirFS(r.dir)); err != nil {
		t.Fatal(err)
	}
	_ = r.stop()
	again := newFakeServer(t)
	r.dir, r.options.Server = filepath.Join(dead, "state"), again.http.URL
	r.start()
	again.until("the frames of the dead process", func() bool { return len(again.frames) == 100 })
	if got := again.distinct(); !slices.Equal(got, upTo(100)) {
		t.Errorf("got %v", got)
	}
	if again.hellos[0].Token != "" {
		t.Error("the token was sent though the agent is enrolled")
	}
	if !bytes.Equal(again.hellos[0].Key, server.hellos[0].Key) {
		t.Error("it came back as another")
	}
}

func TestAcknowledgedFramesAreNotSentAgainAfterACleanStop(t *testing.T) {
	server := newFakeServer(t)
	r := newRig(t, server.http.URL, nil)
	r.add(0, 30)
	waitFor(t, "all acknowledged", func() bool { return r.spool.Stats().Pending == 0 })
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if err := r.spool.Close(); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.add(30, 31)
	server.until("the next frame", func() bool { return server.frames[len(server.frames)-1].At == 30 })
	if n := len(server.frames); n != 31 {
		t.Errorf("%d frames arrived", n)
	}
}

func TestAnotherEndpointGetsTheAcknowledgedFramesTheAgentStillKeeps(t *testing.T) {
	first, second := newFakeServer(t), newFakeServer(t)
	second.welcome = first.welcome
	first.welcome.Endpoints = []string{first.http.URL, second.http.URL}
	r := newRig(t, first.http.URL, nil)
	r.add(0, 40)
	waitFor(t, "all acknowledged", func() bool { return r.spool.Stats().Pending == 0 && r.uplink.Stats().Connected })
	first.cut()
	first.http.Listener.Close() // it dies with what it acknowledged
	second.until("the frames again", func() bool { return len(second.distinct()) == 40 })
	r.add(40, 41)
	second.until("new ones", func() bool { return len(second.distinct()) == 41 })
}

func TestRefusedFramesAreDroppedAndCountedAndBlockNothing(t *testing.T) {
	server := newFakeServer(t)
	server.refuse = func(f wire.Frame) string {
		if f.At%10 == 0 {
			return "older than 48 h"
		}
		return ""
	}
	r := newRig(t, server.http.URL, nil)
	r.add(0, 100)
	waitFor(t, "all dealt with", func() bool { return r.spool.Stats().Pending == 0 })
	if n := r.uplink.Stats().Refused; n != 10 {
		t.Errorf("%d refused frames were counted", n)
	}
}

func TestMoreSchemasThanNumbers(t *testing.T) {
	server := newFakeServer(t)
	server.acking = false
	r := newRig(t, server.http.URL, nil)
	for at := range int64(300) {
		if err := r.spool.Append(frame(at, 1+int(at*7)%150)); err != nil {
			t.Fatal(err)
		}
	}
	server.until("frames in flight", func() bool { return len(server.frames) > 0 })
	server.do(func() { server.acking = true })
	server.cut()
	server.until("all frames", func() bool { return len(server.distinct()) == 300 })
	for i, f := range server.frames {
		if server.metrics[i] != 1+int(f.At*7)%150 {
			t.Fatalf("frame %d came with a schema of %d metrics", f.At, server.metrics[i])
		}
	}
}

func TestABadTokenEndsAnAgentThatWasNeverEnrolled(t *testing.T) {
	server := newFakeServer(t)
	server.refusal = &wire.Refusal{Code: wire.RefusalToken, Reason: "The token was used up.", Permanent: true}
	r := newRig(t, server.http.URL, nil)
	server.until("hello", func() bool { return len(server.hellos) == 1 })
	if server.hellos[0].Token != "enrol_secret" {
		t.Error("no token in the hello")
	}
	waitFor(t, "the end", func() bool { return !r.uplink.Stats().Connected })
	err := waitEnd(t, r)
	if !errors.Is(err, muster.ErrDenied) || !strings.Contains(err.Error(), "The token was used up.") {
		t.Errorf("got %v", err)
	}
}

// waitEnd gives what Run gives, without stopping it.
func waitEnd(t *testing.T, r *rig) error {
	t.Helper()
	time.Sleep(200 * time.Millisecond) // stop would hide the error if it came first
	return r.stop()
}

func TestAServerThatForgotTheNodeIsGivenTheToken(t *testing.T) {
	server := newFakeServer(t)
	r := newRig(t, server.http.URL, nil)
	waitFor(t, "connection", func() bool { return r.uplink.Stats().Connected })
	server.do(func() { server.refusal = &wire.Refusal{Code: wire.RefusalUnknown, Permanent: true} })
	server.cut()
	server.until("hello with the token", func() bool {
		n := len(server.hellos)
		return n >= 3 && server.hellos[n-1].Token != "" && server.hellos[1].Token == ""
	})
}

func TestOrdersAndFacts(t *testing.T) {
	server := newFakeServer(t)
	var mu sync.Mutex
	var orders []wire.Order
	r := newRig(t, server.http.URL, func(o *uplink.Options) {
		o.OnOrder = func(order wire.Order) {
			mu.Lock()
			defer mu.Unlock()
			orders = append(orders, order)
		}
	})
	server.until("connection", func() bool { return len(server.conns) == 1 })
	server.push(&wire.Order{Period: time.Second, For: time.Minute})
	waitFor(t, "order", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(orders) == 1 && orders[0].For == time.Minute
	})
	r.uplink.SetFacts(&wire.Facts{Addresses: []string{"192.0.2.9"}})
	server.until("facts", func() bool { return len(server.facts) == 1 && server.facts[0].Addresses[0] == "192.0.2.9" })
}

// rawServer speaks TLS only, with httptest's certificate, which nobody trusts.
func tlsServer(t *testing.T) (*fakeServer, string) {
	plain := newFakeServer(t)
	secure := httptest.NewUnstartedServer(plain)
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	sum := sha256.Sum256(secure.Certificate().Raw)
	plain.http = secure
	return plain, hex.EncodeToString(sum[:])
}

func TestAPinnedCertificateIsTrustedAndRemembered(t *testing.T) {
	server, pin := tlsServer(t)
	r := newRig(t, server.http.URL, func(o *uplink.Options) { o.Pin = "SHA256:" + pin })
	waitFor(t, "connection", func() bool { return r.uplink.Stats().Connected })
	_ = r.stop()
	r.options.Pin = ""
	r.start()
	waitFor(t, "connection without the flag", func() bool { return r.uplink.Stats().Connected })
}

func TestAnUntrustedCertificateIsRefusedInWords(t *testing.T) {
	server, pin := tlsServer(t)
	for name, wrong := range map[string]struct{ pin, words string }{
		"no pin":      {"", "--pin"},
		"another pin": {strings.Repeat("ab", 32), "not the one that was pinned"},
	} {
		t.Run(name, func(t *testing.T) {
			var log lockedBuffer
			newRig(t, server.http.URL, func(o *uplink.Options) {
				o.Pin = wrong.pin
				o.Logger = slog.New(slog.NewTextHandler(&log, nil))
			})
			waitFor(t, "words in the log", func() bool { return strings.Contains(log.String(), wrong.words) })
		})
	}
	if len(server.hellos) != 0 {
		t.Errorf("a hello went to a server that is not trusted (its pin is %s)", pin)
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestOptionsAreChecked(t *testing.T) {
	identity, err := uplink.LoadIdentity("", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	spool, err := uplink.OpenSpool(uplink.SpoolOptions{})
	if err != nil {
		t.Fatal(err)
	}
	good := uplink.Options{Server: "https://m.example", Token: "t", Identity: identity, Spool: spool, Hello: func() wire.Hello { return wire.Hello{} }}
	if _, err := uplink.New(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*uplink.Options){
		"no scheme":  func(o *uplink.Options) { o.Server = "m.example" },
		"ftp":        func(o *uplink.Options) { o.Server = "ftp://m.example" },
		"password":   func(o *uplink.Options) { o.Server = "https://a:b@m.example" },
		"pin":        func(o *uplink.Options) { o.Pin = "abc" },
		"no spool":   func(o *uplink.Options) { o.Spool = nil },
		"no token":   func(o *uplink.Options) { o.Token = "" },
		"empty host": func(o *uplink.Options) { o.Server = "https://" },
	} {
		bad := good
		change(&bad)
		if _, err := uplink.New(bad); !errors.Is(err, muster.ErrInvalid) && !errors.Is(err, muster.ErrDenied) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
