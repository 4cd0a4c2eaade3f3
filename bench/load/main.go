// Command muster-load drives a server with many simulated agents over real WebSockets, or a peer with
// the same samples by Prometheus remote write, and reports what it took: samples per CPU-second of the
// server, acknowledgement times, memory per agent. It is a measuring tool, no part of the product.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

type options struct {
	server   string        // URL of a Muster server
	token    string        // API token, to make the enrolment with
	write    string        // URL of a remote-write endpoint; used instead of server
	agents   int           // how many
	metrics  int           // per frame
	period   time.Duration // between two frames of one agent
	duration time.Duration // measured, after warm-up
	warmup   time.Duration // after all are connected
	ramp     int           // agents started a second
	batch    int           // agents whose samples share one remote-write request
	pid      int           // of the server, for its CPU and memory
}

func main() {
	var o options
	flag.StringVar(&o.server, "server", "http://127.0.0.1:8080", "URL of the Muster server")
	flag.StringVar(&o.token, "token", os.Getenv("MUSTER_TOKEN"), "API token of an admin")
	flag.StringVar(&o.write, "remote-write", "", "feed this Prometheus remote-write URL instead")
	flag.IntVar(&o.agents, "agents", 1000, "simulated agents")
	flag.IntVar(&o.metrics, "metrics", 100, "metrics per frame")
	flag.DurationVar(&o.period, "period", 10*time.Second, "between two frames of one agent")
	flag.DurationVar(&o.duration, "duration", time.Minute, "time measured")
	flag.DurationVar(&o.warmup, "warmup", 15*time.Second, "time before it, with everybody connected")
	flag.IntVar(&o.ramp, "ramp", 500, "agents started a second")
	flag.IntVar(&o.batch, "batch", 1, "agents in one remote-write request")
	flag.IntVar(&o.pid, "pid", 0, "process id of the server, to account its CPU and memory")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	report, err := run(ctx, o)
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "muster-load:", err)
		os.Exit(1)
	}
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", "  ")
	if err := out.Encode(report); err != nil {
		os.Exit(1)
	}
}

// run starts the load, lets it warm up, measures and gives the report.
func run(ctx context.Context, o options) (*report, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m := newMeter()
	before := readProcess(o.pid)
	var wait func()
	var err error
	if o.write != "" {
		wait, err = startWriters(ctx, o, m)
	} else {
		wait, err = startAgents(ctx, o, m)
	}
	if err != nil {
		return nil, err
	}
	if err := sleep(ctx, o.warmup); err != nil {
		return nil, err
	}
	m.reset()
	start, used := time.Now(), readProcess(o.pid)
	err = sleep(ctx, o.duration)
	took, after := time.Since(start), readProcess(o.pid)
	r := m.report(o, took)
	r.account(o, before, used, after)
	cancel()
	wait()
	return r, err
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
