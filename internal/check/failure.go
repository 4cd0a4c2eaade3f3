package check

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"muster"
)

// The classes of errors that several kinds share. A kind may have more; docs/guide/checks.md lists all.
const (
	// ClassDNS: the name of the target could not be resolved.
	ClassDNS = "dns"
	// ClassConnect: no connection came to be.
	ClassConnect = "connect"
	// ClassTLS: the handshake failed, or the certificate is not good.
	ClassTLS = "tls"
	// ClassTimeout: the time was up.
	ClassTimeout = "timeout"
	// ClassStatus: the answer has another code than expected.
	ClassStatus = "status"
	// ClassBody: what was expected in the answer is not there.
	ClassBody = "body"
	// ClassRedirect: redirects lead nowhere.
	ClassRedirect = "redirect"
	// ClassProtocol: the answer breaks the rules of its protocol, or was cut off.
	ClassProtocol = "protocol"
	// ClassDenied: the zone may not reach the address, or the machine may not run the check.
	ClassDenied = "denied"
)

// Failure is what stopped a run: its class, and words for people.
type Failure struct {
	Class string
	Text  string
	// Unable means that the check could not be run, so that nothing is known of the target.
	Unable bool
}

// Error gives the words.
func (f *Failure) Error() string { return f.Text }

// Failed makes a Failure of an error met while doing something ("connecting to 192.0.2.1:80"). Its class is
// ClassTimeout when the time was up, else the given one. It passes on an error that is one already.
func Failed(ctx context.Context, class, doing string, err error) *Failure {
	var already *Failure
	if errors.As(err, &already) {
		return already
	}
	if ctx.Err() != nil || timedOut(err) {
		return &Failure{Class: ClassTimeout, Text: "the time was up while " + doing}
	}
	return &Failure{Class: class, Text: doing + ": " + Cause(err)}
}

func timedOut(err error) bool {
	var timeout net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

// Cause says what was wrong at the bottom of an error of the network, without the addresses around it.
func Cause(err error) string {
	var code syscall.Errno
	if errors.As(err, &code) {
		return code.Error()
	}
	var alert tls.AlertError
	if errors.As(err, &alert) {
		return "the other side says " + alert.Error()
	}
	var name *net.DNSError
	if errors.As(err, &name) {
		return name.Err
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return op.Err.Error()
	}
	return err.Error()
}

// Report puts an error into the outcome: a Failure with its class, any other as ClassProtocol.
func (o *Outcome) Report(err error) {
	var f *Failure
	switch {
	case err == nil:
	case !errors.As(err, &f):
		o.Fail(ClassProtocol, "%s", err.Error())
	case f.Unable:
		o.Unable(f.Class, "%s", f.Text)
	default:
		o.Fail(f.Class, "%s", f.Text)
	}
}

// Settle ends a run: nothing reported is StatusOK, and a run without a summary has its error for one.
func (o *Outcome) Settle() {
	if o.Status == "" {
		o.Status = muster.StatusOK
	}
	if o.Summary == "" {
		o.Summary = o.Error
	}
}

// Failed says whether anything was reported so far.
func (o *Outcome) Failed() bool { return o.Class != "" }

// Took writes how long something took, for people: "0.8 ms", "12 ms", "1.53 s".
func Took(d time.Duration) string {
	switch ms := float64(d) / float64(time.Millisecond); {
	case ms < 10:
		return fmt.Sprintf("%.1f ms", ms)
	case ms < 1000:
		return fmt.Sprintf("%.0f ms", ms)
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

// Seconds gives a duration as metrics have it, rounded to microseconds: what is finer is noise and costs storage.
func Seconds(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)/time.Microsecond) / 1e6
}
