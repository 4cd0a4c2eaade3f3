// Package checktest gives the suite that every check kind passes, and the targets it is tried on: servers
// that misbehave, certificates that are not good, real services.
package checktest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"muster"
	"muster/internal/check"
)

// Suite is what a kind's test gives. The functions start a target that ends with the test and give a
// configuration that points at it.
type Suite struct {
	Kind check.Kind
	// Good is as it should be: a run is ok.
	Good func(t *testing.T) string
	// Silent takes what is sent and never answers.
	Silent func(t *testing.T) string
	// Garbage answers with these bytes, whatever it is asked.
	Garbage func(t *testing.T, answer []byte) string
	// Normal are more configurations that are good.
	Normal []string
	// Wrong are configurations and the field that is to blame.
	Wrong map[string]string
}

// Long is how long anything in the suite may take before it counts as stuck.
const Long = 30 * time.Second

// Test runs the suite.
func Test(t *testing.T, s Suite) {
	t.Run("NormalForm", s.normalForm)
	t.Run("UnknownFieldRefused", s.unknownField)
	t.Run("WrongConfigRefused", s.wrongConfig)
	t.Run("StrangeConfigRefused", s.strangeConfig)
	t.Run("GoodTarget", s.goodTarget)
	t.Run("ContextEndHonoured", s.contextEnd)
	t.Run("AllowHonoured", s.allow)
	t.Run("ConnectionsClosed", s.closes)
	t.Run("RunsSideBySide", s.sideBySide)
	t.Run("GarbageAnswers", s.garbage)
	t.Run("NothingLeft", s.nothingLeft)
}

// Look runs a configuration once within that time and fails the test when the run is stuck or its outcome is
// not one that can be sent.
func Look(t testing.TB, kind check.Kind, config string, env *check.Env, within time.Duration) *check.Outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	return look(t, kind, config, ctx, env)
}

func look(t testing.TB, kind check.Kind, config string, ctx context.Context, env *check.Env) *check.Outcome {
	t.Helper()
	probe, err := kind.Parse([]byte(config))
	if err != nil {
		t.Fatalf("%s: %v", config, err)
	}
	if env == nil {
		env = &check.Env{}
	}
	out := &check.Outcome{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		probe.Run(ctx, env, out)
	}()
	deadline := time.NewTimer(2 * Long)
	defer deadline.Stop()
	select {
	case <-done:
	case <-deadline.C:
		t.Fatalf("a run with %s is stuck", config)
	}
	sane(t, out)
	return out
}

// sane says whether an outcome keeps the rules of all outcomes.
func sane(t testing.TB, out *check.Outcome) {
	t.Helper()
	if out.Summary == "" || strings.Contains(out.Summary, "\n") {
		t.Errorf("the summary is %q", out.Summary)
	}
	if out.Status.Number() < 0 || (out.Status == muster.StatusOK) != (out.Class == "") || (out.Class == "") != (out.Error == "") {
		t.Errorf("status %q, class %q, error %q do not go together", out.Status, out.Class, out.Error)
	}
	var metrics []muster.Metric
	for _, r := range out.Readings {
		if r.Value-r.Value != 0 {
			t.Errorf("%s is %v", r.Metric.Name, r.Value)
		}
		metrics = append(metrics, *r.Metric)
	}
	if len(metrics) > 0 {
		if _, err := muster.NewSchema(metrics); err != nil {
			t.Errorf("the metrics cannot be sent: %v", err)
		}
	}
	for key, value := range out.Evidence {
		if key == "" || value == "" || len(value) > 600 {
			t.Errorf("evidence %q has %d bytes", key, len(value))
		}
	}
}

func (s Suite) normalForm(t *testing.T) {
	for _, config := range append([]string{s.Good(t), s.Silent(t)}, s.Normal...) {
		first, err := s.Kind.Parse([]byte(config))
		if err != nil {
			t.Fatalf("%s: %v", config, err)
		}
		again, err := s.Kind.Parse(first.Config())
		if err != nil {
			t.Fatalf("its normal form %s: %v", first.Config(), err)
		}
		if !bytes.Equal(first.Config(), again.Config()) || !json.Valid(first.Config()) {
			t.Errorf("%s becomes %s and then %s", config, first.Config(), again.Config())
		}
		if first.Target() == "" || first.Target() != again.Target() {
			t.Errorf("the target of %s is %q and then %q", config, first.Target(), again.Target())
		}
	}
}

func (s Suite) unknownField(t *testing.T) {
	config := strings.Replace(s.Good(t), "{", `{"no_such_field": 1, `, 1)
	blames(t, s.Kind, config, "no_such_field")
}

func (s Suite) wrongConfig(t *testing.T) {
	for config, field := range s.Wrong {
		blames(t, s.Kind, config, field)
	}
}

// blames says whether a configuration is refused for that field.
func blames(t *testing.T, kind check.Kind, config, field string) {
	t.Helper()
	_, err := kind.Parse([]byte(config))
	var wrong *check.ConfigError
	if !errors.Is(err, muster.ErrInvalid) || !errors.As(err, &wrong) {
		t.Errorf("%s: %v is no ConfigError", config, err)
		return
	}
	if !slices.ContainsFunc(wrong.Fields, func(f check.FieldError) bool { return f.Field == field && f.Message != "" }) {
		t.Errorf("%s: %v does not name %s", config, err, field)
	}
}

// strangeConfig puts every kind of JSON in place of every field: what is taken must have a normal form.
func (s Suite) strangeConfig(t *testing.T) {
	for _, config := range []string{"{", "[]", `"x"`, "7", "true", `{"a":}`, "\xff", strings.Repeat("[", 10_000), strings.Repeat(" ", check.MaxConfig+1)} {
		if _, err := s.Kind.Parse([]byte(config)); !errors.Is(err, muster.ErrInvalid) {
			t.Errorf("%.40q: %v", config, err)
		}
	}
	probe, err := s.Kind.Parse([]byte(s.Good(t)))
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(probe.Config(), &fields); err != nil {
		t.Fatal(err)
	}
	for name, was := range fields {
		for _, strange := range []string{"null", "true", "7", "-1", "1e99", `""`, `"x"`, `"\u0000"`, `"\r\nx: y"`, "[]", "[1]", "{}", `{"a":1}`, `{"":""}`, `"` + strings.Repeat("x", 1<<16) + `"`} {
			fields[name] = json.RawMessage(strange)
			config, _ := json.Marshal(fields)
			taken, err := s.Kind.Parse(config)
			if err != nil && !errors.Is(err, muster.ErrInvalid) {
				t.Errorf("%s=%.40s: %v", name, strange, err)
			}
			if err == nil {
				if _, err := s.Kind.Parse(taken.Config()); err != nil {
					t.Errorf("%s=%.40s is taken, its normal form is not: %v", name, strange, err)
				}
			}
		}
		fields[name] = was
	}
}

func (s Suite) goodTarget(t *testing.T) {
	out := Look(t, s.Kind, s.Good(t), nil, Long)
	if out.Status != muster.StatusOK {
		t.Errorf("a good target is %s: %s: %s", out.Status, out.Class, out.Error)
	}
	if len(out.Readings) == 0 {
		t.Error("nothing was measured")
	}
}

func (s Suite) contextEnd(t *testing.T) {
	config := s.Silent(t)
	if out := Look(t, s.Kind, config, nil, 100*time.Millisecond); out.Class != check.ClassTimeout {
		t.Errorf("a run that was cut short has class %q: %s", out.Class, out.Error)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if out := look(t, s.Kind, config, ctx, nil); out.Class != check.ClassTimeout {
		t.Errorf("a run that was called off has class %q: %s", out.Class, out.Error)
	}
	if out := look(t, s.Kind, config, ctx, nil); out.Class != check.ClassTimeout {
		t.Errorf("a run that was called off before it began has class %q: %s", out.Class, out.Error)
	}
}

func (s Suite) allow(t *testing.T) {
	var dials, asked atomic.Int64
	env := &check.Env{
		Allow: func(addr netip.Addr) error {
			asked.Add(1)
			return fmt.Errorf("test: allow: %w: %s is off limits", muster.ErrDenied, addr)
		},
		Dial: func(context.Context, string, string) (net.Conn, error) {
			dials.Add(1)
			return nil, errors.New("no dialing here")
		},
	}
	out := Look(t, s.Kind, s.Good(t), env, Long)
	if out.Class != check.ClassDenied || out.Status != muster.StatusUnknown || asked.Load() == 0 || dials.Load() != 0 {
		t.Errorf("class %q, status %s after asking %d times and dialing %d times: %s", out.Class, out.Status, asked.Load(), dials.Load(), out.Error)
	}
	if !strings.Contains(out.Error, "off limits") || strings.Contains(out.Error, "test: allow") {
		t.Errorf("the error does not say why: %s", out.Error)
	}
}

// closes counts the connections of runs that end well, badly and too early.
func (s Suite) closes(t *testing.T) {
	var open atomic.Int64
	env := &check.Env{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		open.Add(1)
		return &counted{Conn: conn, open: &open}, nil
	}}
	for _, config := range []string{s.Good(t), s.Silent(t), s.Garbage(t, []byte("?"))} {
		Look(t, s.Kind, config, env, 250*time.Millisecond)
		if n := open.Load(); n != 0 {
			t.Errorf("%d connections are left open by a run of %s", n, config)
		}
	}
}

// counted is a connection that is counted until it is closed.
type counted struct {
	net.Conn
	open *atomic.Int64
	once sync.Once
}

// Close is net.Conn's.
func (c *counted) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.Conn.Close()
}

// sideBySide runs one probe many times at once: the race detector watches.
func (s Suite) sideBySide(t *testing.T) {
	probe, err := s.Kind.Parse([]byte(s.Good(t)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), Long)
	defer cancel()
	env := &check.Env{}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			var out check.Outcome
			probe.Run(ctx, env, &out)
			if out.Status != muster.StatusOK {
				t.Errorf("beside others it is %s: %s", out.Status, out.Error)
			}
		})
	}
	wg.Wait()
}

func (s Suite) garbage(t *testing.T) {
	answers := [][]byte{nil, {0}, {'\n'}, []byte("HTTP"), []byte("\r\n\r\n\r\n"), bytes.Repeat([]byte{0xff}, 5000), bytes.Repeat([]byte("a"), 5000), {0x16, 3, 1, 0, 5}, {21, 3, 3, 0, 2, 2, 40}}
	random := rand.New(rand.NewPCG(1, 2))
	for n := range 10 {
		b := make([]byte, 1<<n)
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		answers = append(answers, b)
	}
	for _, answer := range answers {
		out := Look(t, s.Kind, s.Garbage(t, answer), nil, 250*time.Millisecond)
		if out.Status == muster.StatusOK {
			t.Errorf("the answer %.40q is good: %s", answer, out.Summary)
		}
	}
}

// nothingLeft looks for goroutines of the kind after all its runs are over.
func (s Suite) nothingLeft(t *testing.T) {
	mine := []string{"muster/internal/check/" + s.Kind.Name() + ".(", "muster/internal/check.(*Env)"}
	var left string
	Eventually(t, func() bool {
		buf := make([]byte, 4<<20)
		buf = buf[:runtime.Stack(buf, true)]
		left = ""
		for stack := range strings.SplitSeq(string(buf), "\n\n") {
			if slices.ContainsFunc(mine, func(name string) bool { return strings.Contains(stack, name) }) {
				left = stack
			}
		}
		return left == ""
	}, func() string { return "a goroutine is left:\n" + left })
}

// Eventually waits until something is so, and fails the test when it does not come to be.
func Eventually(t testing.TB, so func() bool, why func() string) {
	t.Helper()
	for end := time.Now().Add(Long); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(why())
		}
	}
}

// Value gives a metric of an outcome by its name; ok is false when it is not there.
func Value(out *check.Outcome, name string) (v float64, ok bool) {
	for _, r := range out.Readings {
		if r.Metric.Name == name {
			return r.Value, true
		}
	}
	return 0, false
}

// Fuzzed is the body of a kind's fuzz test of its configuration: what is refused is invalid, what is taken has
// a normal form that is taken too and stays as it is.
func Fuzzed(t *testing.T, kind check.Kind, raw []byte) {
	t.Helper()
	probe, err := kind.Parse(raw)
	if err != nil {
		if !errors.Is(err, muster.ErrInvalid) {
			t.Fatalf("%q: %v", raw, err)
		}
		return
	}
	again, err := kind.Parse(probe.Config())
	if err != nil {
		t.Fatalf("%q is taken, its normal form %q is not: %v", raw, probe.Config(), err)
	}
	if !bytes.Equal(again.Config(), probe.Config()) || again.Target() != probe.Target() {
		t.Fatalf("the normal form of %q is %q and then %q", raw, probe.Config(), again.Config())
	}
}
