package roster

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"muster"
	"muster/internal/check"
)

// KindPush is the kind of checks that nobody runs: a job calls in each period, and silence is the failure.
const KindPush = "push"

// Metrics of push checks, beside status and duration.
const (
	// PushCalledMetric is 1 for a result that a call made, and 0 for one that silence made.
	PushCalledMetric = "push.called"
	// PushAgeMetric is how long before a result the call before it came, in seconds.
	PushAgeMetric = "push.age"
)

// ClassSilent is the class of a result that silence made.
const ClassSilent = "silent"

// pushConfig is the configuration of a push check.
type pushConfig struct {
	Grace string `json:"grace"` // how much later than the period a call may come
	Token string `json:"token"` // made here; whoever knows it may call
}

// Bounds of push checks.
const (
	defaultGrace = 30 * time.Second
	maxGrace     = 7 * 24 * time.Hour
	tokenPrefix  = "push_"
	tokenBytes   = 32
	newToken     = "new"
	maxMessage   = 1000
)

type tokenHash [sha256.Size]byte

func hashToken(token string) tokenHash { return sha256.Sum256([]byte(token)) }

func makeToken() string {
	var raw [tokenBytes]byte
	rand.Read(raw[:]) // never fails since Go 1.24: the process ends instead
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(raw[:])
}

// PushToken gives the secret by which a push check is called; "" for other kinds.
func PushToken(c *muster.Check) string {
	if c.Kind != KindPush {
		return ""
	}
	var p pushConfig
	if json.Unmarshal(c.Config, &p) != nil {
		return ""
	}
	return p.Token
}

// pushGrace gives how much later than its period a call of the check may come.
func pushGrace(c *muster.Check) time.Duration {
	var p pushConfig
	if json.Unmarshal(c.Config, &p) != nil {
		return defaultGrace
	}
	d, err := time.ParseDuration(p.Grace)
	if err != nil || d <= 0 {
		return defaultGrace
	}
	return d
}

// parsePush reads a push check's own fields and gives them complete. The token stays what it was, unless
// another is asked for by the word "new".
func parsePush(config []byte, token string) ([]byte, error) {
	f := check.ReadFields(config)
	grace, said := defaultGrace, ""
	f.Duration("grace", &grace, maxGrace)
	f.Text("token", &said, 100)
	switch said {
	case "", token:
	case newToken:
		token = ""
	default:
		f.Fault("token", "is made here and can't be chosen; %q makes another", newToken)
	}
	if err := f.Err(); err != nil {
		return nil, err
	}
	if token == "" {
		token = makeToken()
	}
	return check.Normal(pushConfig{Grace: span(grace), Token: token}), nil
}

// PushCall is what a job says when it calls.
type PushCall struct {
	Status   muster.CheckStatus // ok, warning or critical; ok when empty
	Message  string             // one line for people; cut to 1,000 bytes
	Duration time.Duration      // how long the job took; 0 when it does not say
}

func (p *PushCall) tidy() error {
	switch p.Status {
	case "":
		p.Status = muster.StatusOK
	case muster.StatusOK, muster.StatusWarning, muster.StatusCritical:
	default:
		return fmt.Errorf("%w: status: must be ok, warning or critical", muster.ErrInvalid)
	}
	if p.Duration < 0 || p.Duration > 1000*time.Hour {
		return fmt.Errorf("%w: duration: must be between 0 and 1000 h", muster.ErrInvalid)
	}
	p.Message = cleanLine(p.Message, maxMessage)
	return nil
}

// cleanLine makes one line of at most that many bytes of what anybody may have sent.
func cleanLine(s string, most int) string {
	if len(s) > 4*most {
		s = s[:4*most]
	}
	s = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, ""))), " ")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "")
	}
	return s
}

// pushState is what is known of the calls of a push check.
type pushState struct {
	from    int64 // silence counts from here on, Unix ms: it was made, switched on or given other times
	called  int64 // when the last call came; 0: none is known
	silent  int64 // when silence was told last, after that call; 0: not yet
	stamped int64 // the newest instant that was given to a result
	burst   int8  // how many calls were taken ahead of one a second
	counted int64 // when burst was renewed
}

// Bounds of how often a job may call: one a second, and so many at once.
const maxBurst = 20

// admit counts a call; false when there are too many.
func (p *pushState) admit(now int64) bool {
	if gone := (now - p.counted) / 1000; gone > 0 || gone < 0 {
		p.burst = int8(max(0, int64(p.burst)-max(gone, 0)))
		p.counted = now
	}
	if p.burst >= maxBurst {
		return false
	}
	p.burst++
	return true
}

// stamp gives the instant of a new result: now, and never one twice.
func (p *pushState) stamp(now int64) int64 {
	if p.stamped > now+ahead {
		p.stamped = 0 // the clock was set back
	}
	p.stamped = max(now, p.stamped+1)
	return p.stamped
}

// silentAt gives when the entry, which is locked, has been silent for too long, or has to say so again.
// A call that should have come before this server could take one is waited for once more.
func (e *entry) silentAt(judgeFrom int64) int64 {
	p, c := e.push, e.check.Load()
	period, grace := c.Period.Milliseconds(), pushGrace(c).Milliseconds()
	expected, from := p.called+period, max(p.from, judgeFrom)
	if p.called == 0 || expected < from {
		expected = from + period
	}
	at := expected + grace
	if p.silent > 0 {
		at = max(at, p.silent+period)
	}
	return at
}

// silence is a result that silence made, on its way.
type silence struct {
	entry *entry
	frame *muster.Frame
}

// fallSilent makes a result when the entry, which is locked, has been silent for too long.
func (e *entry) fallSilent(now, judgeFrom int64) (s silence, ok bool) {
	c := e.check.Load()
	if !c.Enabled || now < e.silentAt(judgeFrom) {
		return s, false
	}
	since := e.push.called
	if since == 0 {
		since = max(e.push.from, judgeFrom)
	}
	e.push.silent = now
	note := check.Note{
		Summary: "silent", Class: ClassSilent,
		Error: fmt.Sprintf("nobody called since %s; a call is due every %s", instant(since).Format("2006-01-02 15:04:05 MST"), span(c.Period)),
	}
	frame, err := e.pushFrame(c, now, muster.StatusCritical, 0, &note)
	return silence{e, frame}, err == nil
}

// pushFrame makes the frame of a result.
func (e *entry) pushFrame(c *muster.Check, now int64, status muster.CheckStatus, took time.Duration, note *check.Note) (*muster.Frame, error) {
	attrs := []muster.Attr{{Key: muster.CheckAttr, Value: string(c.ID)}, {Key: muster.ZoneAttr, Value: muster.LocalZone}}
	schema, err := muster.NewSchema([]muster.Metric{
		{Name: muster.CheckStatusMetric, Unit: "1", Kind: muster.Gauge, Attrs: attrs},
		{Name: muster.CheckDurationMetric, Unit: "s", Kind: muster.Gauge, Attrs: attrs},
		{Name: PushCalledMetric, Unit: "1", Kind: muster.Gauge, Attrs: attrs},
		{Name: PushAgeMetric, Unit: "s", Kind: muster.Gauge, Attrs: attrs},
	})
	if err != nil {
		return nil, err
	}
	at := e.push.stamp(now)
	duration, called, age := check.None(), 1.0, check.None()
	if took > 0 {
		duration = check.Seconds(took)
	}
	if note.Class == ClassSilent {
		called = 0
	}
	if e.push.called > 0 {
		age = float64(at-e.push.called) / 1000
	}
	return &muster.Frame{
		Account: c.Account, Node: c.Subject(), Source: c.Source(muster.LocalZone), At: at, Sent: at,
		Schema: schema, Values: []float64{status.Number(), duration, called, age}, Note: note.Marshal(),
	}, nil
}

// Push takes the call of a job, and returns when its result is durable. The error wraps ErrNotFound when no
// check that is switched on has the token, ErrInvalid, ErrLimited when calls come too fast, or is Options.Deliver's.
func (r *Roster) Push(ctx context.Context, token string, p PushCall) error {
	r.mu.RLock()
	e := r.tokens[hashToken(token)]
	r.mu.RUnlock()
	if e == nil || !strings.HasPrefix(token, tokenPrefix) {
		return fmt.Errorf("roster: push: %w: no check is called like this", muster.ErrNotFound)
	}
	if err := p.tidy(); err != nil {
		return fmt.Errorf("roster: push: %w", err)
	}
	frame, err := r.call(e, p)
	if err != nil {
		return fmt.Errorf("roster: push: %w", err)
	}
	if err := r.opts.Deliver(ctx, []*muster.Frame{frame}); err != nil {
		return fmt.Errorf("roster: push: %w", err)
	}
	e.mu.Lock()
	if frame.At > e.push.called {
		e.push.called, e.push.silent = frame.At, 0
	}
	e.mu.Unlock()
	return nil
}

func (r *Roster) call(e *entry, p PushCall) (*muster.Frame, error) {
	now := r.opts.Now().UnixMilli()
	note := check.Note{Summary: p.Message}
	if p.Status != muster.StatusOK {
		note.Class, note.Error = "job", p.Message
		if note.Error == "" {
			note.Error = "the job says " + string(p.Status)
		}
	}
	if note.Summary == "" {
		note.Summary = "called"
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.check.Load()
	if e.gone || !c.Enabled {
		return nil, fmt.Errorf("%w: the check is switched off", muster.ErrNotFound)
	}
	if !e.push.admit(now) {
		return nil, fmt.Errorf("%w: calls of one check are taken once a second", muster.ErrLimited)
	}
	return e.pushFrame(c, now, p.Status, p.Duration, &note)
}

// tellSilence makes the results of silence durable. What can't be now is tried again soon.
func (r *Roster) tellSilence(ctx context.Context, silent []silence, now int64) {
	if len(silent) == 0 {
		return
	}
	frames := make([]*muster.Frame, len(silent))
	for i := range silent {
		frames[i] = silent[i].frame
	}
	const wait, again = 10 * time.Second, int64(5000)
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	err := r.opts.Deliver(ctx, frames)
	if err == nil {
		return
	}
	r.opts.Logger.Warn("roster: silence can't be told yet", "checks", len(silent), "error", err)
	for _, s := range silent {
		s.entry.mu.Lock()
		if s.entry.push.silent == now {
			s.entry.push.silent = now - s.entry.check.Load().Period.Milliseconds() + again
			r.wheel.set(s.entry, now+again)
		}
		s.entry.mu.Unlock()
	}
}

// recall finds in the series when jobs called last before this process started.
func (r *Roster) recall(ctx context.Context) {
	if r.opts.History == nil {
		return
	}
	r.each(func(e *entry) {
		c := e.check.Load()
		if c.Kind != KindPush || !c.Enabled || ctx.Err() != nil {
			return
		}
		called, err := r.lastCall(ctx, c)
		if err != nil {
			r.opts.Logger.Warn("roster: it is not known when a job called last", "check", c.ID, "error", err)
			return
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		if called > e.push.called {
			e.push.called = called
			r.judge(e, r.opts.Now().UnixMilli())
		}
	})
}

// lastCall gives the newest call within a period before the start: older ones change nothing.
func (r *Roster) lastCall(ctx context.Context, c *muster.Check) (called int64, err error) {
	lines, err := r.opts.History(ctx, Past{
		Account: c.Account, Subject: c.Subject(), Check: c.ID, Metric: PushCalledMetric, From: r.started.Add(-c.Period), To: r.started.Add(time.Millisecond),
	})
	for _, l := range lines {
		for _, p := range l.Points {
			if p.Value == 1 {
				called = max(called, p.At)
			}
		}
	}
	return called, err
}
