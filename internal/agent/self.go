package agent

import (
	"context"
	"time"

	"muster"
	"muster/internal/check"
)

// self measures the agent itself, into the frame of its machine.
type self struct {
	agent    *Agent
	duration time.Duration
	omitted  int

	cpu, memory, collect             *muster.Metric
	usage, pending, sent, reconnects *muster.Metric
	bySize, byAge, refused, corrupt  *muster.Metric
	metricsDropped                   *muster.Metric
}

func newSelf(a *Agent) *self {
	dropped := func(reason string) *muster.Metric {
		return check.Counter("muster.agent.frames.dropped", "{frame}", "muster.reason", reason)
	}
	return &self{
		agent:          a,
		cpu:            check.Counter("muster.agent.cpu.time", "s"),
		memory:         check.Gauge("muster.agent.memory.usage", "By"),
		collect:        check.Gauge("muster.agent.collect.duration", "s"),
		usage:          check.Gauge("muster.agent.spool.usage", "By"),
		pending:        check.Gauge("muster.agent.spool.pending", "{frame}"),
		sent:           check.Counter("muster.agent.frames.sent", "{frame}"),
		reconnects:     check.Counter("muster.agent.reconnects", "{connection}"),
		bySize:         dropped("size"),
		byAge:          dropped("age"),
		refused:        dropped("refused"),
		corrupt:        dropped("corrupt"),
		metricsDropped: check.Gauge("muster.agent.metrics.dropped", "{metric}"),
	}
}

// Source is that of the machine: the agent is a part of it.
func (s *self) Source() string { return muster.HostSource }

// note remembers how the last measurement went, for the next.
func (s *self) note(duration time.Duration, omitted int) { s.duration, s.omitted = duration, omitted }

// Collect puts the agent's own metrics.
func (s *self) Collect(_ context.Context, sample *check.Sample) error {
	spool, link := s.agent.spool.Stats(), s.agent.uplink.Stats()
	sample.Put(s.cpu, cpuTime())
	sample.Put(s.memory, memoryUsage())
	sample.Put(s.collect, float64(s.duration.Microseconds()/10)/1e5)
	sample.Put(s.usage, float64(spool.Bytes))
	sample.Put(s.pending, float64(spool.Pending))
	sample.Put(s.sent, float64(link.Sent))
	sample.Put(s.reconnects, float64(max(link.Connections, 1)-1))
	sample.Put(s.bySize, float64(spool.Size))
	sample.Put(s.byAge, float64(spool.Age))
	sample.Put(s.refused, float64(link.Refused))
	sample.Put(s.corrupt, float64(spool.Corrupt))
	sample.Put(s.metricsDropped, float64(s.omitted))
	return nil
}
