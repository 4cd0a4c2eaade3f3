// Command peers runs whole processes side by side on this machine, one after the other in one run, and
// prints tables for docs/guide/performance.md: ingest beside VictoriaMetrics and Prometheus, the
// agent beside prometheus-node-exporter, and checks beside prometheus-blackbox-exporter. It needs `make build`,
// bin/muster-load and Debian's packages of those names; a peer that is missing is left out, aloud.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

type options struct {
	part     string
	agents   string
	duration time.Duration
	period   time.Duration
	agentFor time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.part, "part", "ingest,agent,checks", "what to measure: ingest, agent, checks")
	target := flag.String("target", "", "answer as the page that is looked at, on this address")
	flag.StringVar(&o.agents, "agents", "1000,10000", "numbers of simulated agents")
	flag.DurationVar(&o.duration, "duration", time.Minute, "time each load is measured")
	flag.DurationVar(&o.period, "period", 10*time.Second, "between two frames of one agent")
	flag.DurationVar(&o.agentFor, "agent-for", 10*time.Minute, "time the agents of machines are measured side by side")
	flag.Parse()
	if *target != "" {
		fmt.Fprintln(os.Stderr, "peers:", serveTarget(*target))
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	for _, part := range strings.Split(o.part, ",") {
		var err error
		switch part {
		case "ingest":
			err = ingest(ctx, o)
		case "agent":
			err = agents(ctx, o)
		case "checks":
			err = checks(ctx, o)
		default:
			err = fmt.Errorf("no part is called %q", part)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "peers:", err)
			os.Exit(1)
		}
	}
}

// process is a program started for a measurement, in a directory of its own.
type process struct {
	cmd *exec.Cmd
	dir string
}

// start runs a program found on the path or in bin/; args may hold DIR for its directory.
func start(env []string, name string, args ...string) (*process, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		if path, err = exec.LookPath("bin/" + name); err != nil {
			return nil, fmt.Errorf("%s is not installed", name)
		}
	}
	dir, err := os.MkdirTemp("", "muster-peers-")
	if err != nil {
		return nil, err
	}
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "DIR", dir)
	}
	log, err := os.Create(dir + "/log")
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &process{cmd: cmd, dir: dir}, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// end stops the process it started and removes its directory.
func (p *process) end() {
	p.cmd.Process.Signal(syscall.SIGTERM)
	done := make(chan struct{})
	go func() { p.cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(15 * time.Second):
		p.cmd.Process.Kill()
		<-done
	}
	os.RemoveAll(p.dir)
}

func (p *process) log() string {
	text, _ := os.ReadFile(p.dir + "/log")
	return string(text)
}
