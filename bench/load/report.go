package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// meter counts what the simulated agents see; it is shared by all of them.
type meter struct {
	mu      sync.Mutex
	acks    *hdrhistogram.Histogram // microseconds from sending to acknowledgement
	samples int64                   // acknowledged
	refused int64
	errors  int64
	last    string // the newest error, for the report
}

func newMeter() *meter { return &meter{acks: hdrhistogram.New(1, 600e6, 3)} }

func (m *meter) acked(samples int, took time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.samples += int64(samples)
	m.acks.RecordValue(max(1, took.Microseconds()))
}

func (m *meter) refusedFrames(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refused += int64(n)
}

func (m *meter) failed(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.errors++
	m.last = err.Error()
}

func (m *meter) reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.acks.Reset()
	m.samples, m.refused = 0, 0
}

// report is what is printed.
type report struct {
	Agents           int     `json:"agents"`
	Metrics          int     `json:"metrics"`
	Period           string  `json:"period"`
	Seconds          float64 `json:"seconds"`
	Samples          int64   `json:"samples"`
	SamplesPerSecond float64 `json:"samples_per_second"`
	AckP50           float64 `json:"ack_p50_ms"`
	AckP99           float64 `json:"ack_p99_ms"`
	AckMax           float64 `json:"ack_max_ms"`
	Refused          int64   `json:"refused"`
	Errors           int64   `json:"errors"`
	LastError        string  `json:"last_error,omitempty"`

	ServerCPU     float64 `json:"server_cpu_seconds,omitempty"`
	SamplesPerCPU float64 `json:"samples_per_server_cpu_second,omitempty"`
	ServerRSS     float64 `json:"server_rss_mb,omitempty"`
	KBPerAgent    float64 `json:"server_kb_per_agent,omitempty"` // what the server grew by, shared out
}

func (m *meter) report(o options, took time.Duration) *report {
	m.mu.Lock()
	defer m.mu.Unlock()
	ms := func(q float64) float64 { return float64(m.acks.ValueAtQuantile(q)) / 1000 }
	return &report{
		Agents: o.agents, Metrics: o.metrics, Period: o.period.String(),
		Seconds: took.Seconds(), Samples: m.samples, SamplesPerSecond: float64(m.samples) / took.Seconds(),
		AckP50: ms(50), AckP99: ms(99), AckMax: ms(100),
		Refused: m.refused, Errors: m.errors, LastError: m.last,
	}
}

// usage is what a process has used so far.
type usage struct {
	cpu time.Duration
	rss int64 // bytes
}

// readProcess reads /proc; a process that cannot be read has used nothing.
func readProcess(pid int) usage {
	if pid == 0 {
		return usage{}
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return usage{}
	}
	// The name, in parentheses, may hold spaces: count the fields after it.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	const utime, stime, rssPages = 11, 12, 21
	ticks := func(i int) int64 { n, _ := strconv.ParseInt(fields[i], 10, 64); return n }
	const hertz = 100 // USER_HZ, the same on every Linux
	return usage{
		cpu: time.Duration(ticks(utime)+ticks(stime)) * time.Second / hertz,
		rss: ticks(rssPages) * int64(os.Getpagesize()),
	}
}

func (r *report) account(o options, before, used, after usage) {
	if o.pid == 0 {
		return
	}
	r.ServerCPU = (after.cpu - used.cpu).Seconds()
	if r.ServerCPU > 0 {
		r.SamplesPerCPU = float64(r.Samples) / r.ServerCPU
	}
	r.ServerRSS = float64(after.rss) / 1e6
	r.KBPerAgent = float64(after.rss-before.rss) / 1e3 / float64(o.agents)
}
