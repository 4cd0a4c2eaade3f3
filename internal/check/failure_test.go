package check_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"muster"
	"muster/internal/check"
)

func TestFailedFindsTheClass(t *testing.T) {
	over, cancel := context.WithCancel(t.Context())
	cancel()
	refused := &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{Port: 80}, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	already := &check.Failure{Class: check.ClassDenied, Text: "no"}
	for _, c := range []struct {
		ctx         context.Context
		err         error
		class, says string
	}{
		{t.Context(), refused, check.ClassConnect, "reaching it: connection refused"},
		{over, refused, check.ClassTimeout, "the time was up while reaching it"},
		{t.Context(), fmt.Errorf("read: %w", os.ErrDeadlineExceeded), check.ClassTimeout, "the time was up while reaching it"},
		{t.Context(), os.NewSyscallError("connect", syscall.ETIMEDOUT), check.ClassTimeout, "the time was up while reaching it"},
		{t.Context(), &net.DNSError{Err: "no such host", Name: "a", Server: "192.0.2.1:53"}, check.ClassConnect, "reaching it: no such host"},
		{t.Context(), &net.OpError{Op: "x", Err: errors.New("y")}, check.ClassConnect, "reaching it: y"},
		{over, fmt.Errorf("x: %w", already), check.ClassDenied, "no"},
	} {
		if f := check.Failed(c.ctx, check.ClassConnect, "reaching it", c.err); f.Class != c.class || f.Error() != c.says {
			t.Errorf("%v: %+v", c.err, f)
		}
	}
}

func TestOutcomeKeepsTheFirstFailure(t *testing.T) {
	var out check.Outcome
	out.Report(nil)
	if out.Failed() {
		t.Error("nothing was reported")
	}
	out.Report(errors.New("strange"))
	out.Report(&check.Failure{Class: check.ClassBody, Text: "later"})
	out.Settle()
	if !out.Failed() || out.Status != muster.StatusCritical || out.Class != check.ClassProtocol || out.Summary != "strange" {
		t.Errorf("%+v", out)
	}
	out = check.Outcome{Summary: "fine"}
	out.Settle()
	if out.Status != muster.StatusOK || out.Summary != "fine" {
		t.Errorf("%+v", out)
	}
	out = check.Outcome{}
	out.Report(&check.Failure{Class: check.ClassDenied, Text: "not you", Unable: true})
	if out.Status != muster.StatusUnknown {
		t.Errorf("%+v", out)
	}
}

func TestNoteIsTextAndShort(t *testing.T) {
	var out check.Outcome
	out.Note("a", "tab\tline\n\x1b[31m\x00\xff ü\u0085")
	out.Note("b", strings.Repeat("ü", 400))
	if out.Evidence["a"] != "tab\tline\n.[31m.. ü." {
		t.Errorf("%q", out.Evidence["a"])
	}
	if got := out.Evidence["b"]; len(got) != 503 || !strings.HasSuffix(got, "ü...") {
		t.Errorf("%d bytes: %q", len(got), got)
	}
}

func TestTook(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0.0 ms", 840 * time.Microsecond: "0.8 ms", 12400 * time.Microsecond: "12 ms", 1534 * time.Millisecond: "1.53 s"} {
		if got := check.Took(d); got != want {
			t.Errorf("%v: %s", d, got)
		}
	}
	if got := check.Seconds(1234567 * time.Nanosecond); got != 0.001235 {
		t.Error(got)
	}
}
