package gateway

import (
	"context"
	"fmt"
	"sync"
	"time"

	"muster"
	"muster/internal/check"
	"muster/internal/wire"
)

// Bounds of what is sent to an agent that runs checks.
const (
	// partBytes is the size of one message of an assignment, about.
	partBytes = 1 << 20
	// maxAsked is how many runs of one agent may be waited for at one time.
	maxAsked = 64
	// answerTime is how long the answer to a run may take beyond the check's own time.
	answerTime = 10 * time.Second
)

// Assign tells an agent which checks to run: it adds or changes those of add, removes others, or replaces
// all it has. It says whether that agent is connected here and can run checks; the message itself travels
// on its own, in the order of the calls. Checks that no message can bear are left out.
func (g *Gateway) Assign(account muster.AccountID, runner muster.NodeID, add []check.Assignment, remove []muster.CheckID, replace bool) bool {
	c := g.of(account, runner)
	if c == nil || !c.runsChecks() {
		return false
	}
	fit := make([]wire.Assignment, 0, len(add))
	for i := range add {
		a := assignment(&add[i])
		if err := a.Validate(); err != nil {
			g.opts.Logger.Error("gateway: a check can't be assigned", "check", a.Check, "runner", c.id.Name, "error", err)
			continue
		}
		fit = append(fit, a)
	}
	if len(fit) > 0 || len(remove) > 0 || replace {
		c.post(parts(fit, remove, replace)...)
	}
	return true
}

// parts cuts an assignment into messages: at least one.
func parts(add []wire.Assignment, remove []muster.CheckID, replace bool) (list []wire.Message) {
	for {
		m := &wire.Assign{Replace: replace}
		n, size := 0, 0
		for n < len(add) && n < wire.MaxAssigned && size < partBytes {
			size += len(add[n].Config) + len(add[n].Kind) + len(add[n].Zone) + len(add[n].Check) + 32
			n++
		}
		m.Add, add = add[:n], add[n:]
		n = min(len(remove), wire.MaxAssigned)
		m.Remove, remove = remove[:n], remove[n:]
		m.More = len(add) > 0 || len(remove) > 0
		list = append(list, m)
		if !m.More {
			return list
		}
	}
}

func assignment(a *check.Assignment) wire.Assignment {
	return wire.Assignment{Check: a.Check, Kind: a.Kind, Config: a.Config, Zone: a.Zone, Period: a.Period, Timeout: a.Timeout}
}

// RunOnce has an agent run a check now and gives the result; it takes the check's timeout and some seconds
// at most. The error wraps muster.ErrUnavailable when the agent is not connected here, can't run checks or
// does not answer in time, muster.ErrLimited when too much is asked of it at one time, and muster.ErrInvalid
// when no message can bear the check.
func (g *Gateway) RunOnce(ctx context.Context, account muster.AccountID, runner muster.NodeID, a check.Assignment) (muster.Result, error) {
	fail := func(kind error, why string) (muster.Result, error) {
		return muster.Result{}, fmt.Errorf("gateway: run once: %w: %s", kind, why)
	}
	c := g.of(account, runner)
	if c == nil {
		return fail(muster.ErrUnavailable, "the agent that runs it is not connected")
	}
	if !c.runsChecks() {
		return fail(muster.ErrUnavailable, "the agent that should run it is too old to run checks")
	}
	run := &wire.Run{Assignment: assignment(&a)}
	if err := run.Assignment.Validate(); err != nil {
		return muster.Result{}, fmt.Errorf("gateway: run once: %w", err)
	}
	answer := make(chan *wire.Ran, 1)
	if run.Request = c.asked.add(answer); run.Request == 0 {
		return fail(muster.ErrLimited, "the agent that runs it is asked for too many at one time")
	}
	defer c.asked.remove(run.Request)
	ctx, cancel := context.WithTimeout(ctx, min(max(a.Timeout, muster.MinCheckTimeout), muster.MaxCheckTimeout)+answerTime)
	defer cancel()
	at := time.Now()
	c.post(run)
	select {
	case ran := <-answer:
		return result(account, &a, at, ran), nil
	case <-c.done:
		return fail(muster.ErrUnavailable, "the agent that runs it left")
	case <-ctx.Done():
		return fail(muster.ErrUnavailable, "the agent that runs it does not answer")
	}
}

// result makes a result of an agent's answer, which may hold anything.
func result(account muster.AccountID, a *check.Assignment, at time.Time, m *wire.Ran) muster.Result {
	r := muster.Result{
		Account: account, Check: a.Check, Zone: a.Zone, At: at, Status: muster.StatusUnknown, Summary: m.Summary, Duration: m.Duration,
		Class: m.Class, Error: m.Error, Evidence: m.Evidence, Metrics: make([]muster.Reading, 0, len(m.Readings)),
	}
	switch m.Status {
	case muster.StatusOK, muster.StatusWarning, muster.StatusCritical:
		r.Status = m.Status
	}
	for i := range m.Readings {
		reading := &m.Readings[i]
		if v := reading.Value; v-v == 0 && reading.Metric.Validate() == nil { // a finite number
			r.Metrics = append(r.Metrics, muster.Reading{Metric: &reading.Metric, Value: v})
		}
	}
	return r
}

// runsChecks says whether the agent understands what it would be told.
func (c *conn) runsChecks() bool { return c.capability >= wire.CapabilityChecks }

// join tells of an agent that can run checks. It comes before anything that the agent says is read.
func (c *conn) join() {
	if checks := c.gate.opts.Checks; checks != nil && c.runsChecks() {
		c.joined = true
		checks.Joined(c.id)
	}
}

// ran hands an answer to who waits for it. Nobody may: it came too late.
func (c *conn) ran(m *message) (*wire.Refusal, error) {
	answer, err := wire.ParseRan(m.Body)
	if err != nil {
		return malformed(err), nil
	}
	if waiting := c.asked.remove(answer.Request); waiting != nil {
		waiting <- answer
	}
	return nil, nil
}

// asked are the runs whose answers are waited for, by the number of the request.
type asked struct {
	mu   sync.Mutex
	last uint64
	by   map[uint64]chan<- *wire.Ran
}

// add gives a request its number; 0 when there are too many. The channel needs room for the answer.
func (a *asked) add(answer chan<- *wire.Ran) uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.by) == maxAsked {
		return 0
	}
	if a.by == nil {
		a.by = map[uint64]chan<- *wire.Ran{}
	}
	a.last++
	a.by[a.last] = answer
	return a.last
}

// remove gives who waits for a request, who then is no longer known; nil when nobody does.
func (a *asked) remove(request uint64) chan<- *wire.Ran {
	a.mu.Lock()
	defer a.mu.Unlock()
	waiting := a.by[request]
	delete(a.by, request)
	return waiting
}

// outbox holds what waits to be sent, so that nobody waits for a slow line.
type outbox struct {
	mu      sync.Mutex
	waiting []wire.Message
	sending bool
	broken  bool
}

// post sends messages from another goroutine, in the order of the calls and together.
func (c *conn) post(messages ...wire.Message) {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	if c.out.broken {
		return
	}
	c.out.waiting = append(c.out.waiting, messages...)
	if !c.out.sending {
		c.out.sending = true
		go c.sendPosted()
	}
}

func (c *conn) sendPosted() {
	for {
		c.out.mu.Lock()
		messages := c.out.waiting
		c.out.waiting = nil
		if len(messages) == 0 {
			c.out.sending = false
			c.out.mu.Unlock()
			return
		}
		c.out.mu.Unlock()
		for _, m := range messages {
			if err := c.send(m); err != nil {
				c.ws.CloseNow() // a part is lost: the agent is told all anew when it comes back
				c.out.mu.Lock()
				c.out.waiting, c.out.broken = nil, true
				c.out.mu.Unlock()
				return
			}
		}
	}
}
