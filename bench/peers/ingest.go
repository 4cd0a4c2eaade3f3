package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

const token = "peers-bootstrap-token-0123456789abcdef0123456789abcdef"

// contender is a server that takes the load.
type contender struct {
	name  string
	env   []string
	cmd   []string
	ready string   // URL that answers 2xx when it is
	load  []string // further arguments of muster-load
}

func contenders() []contender {
	return []contender{
		{
			name: "Muster", env: []string{"MUSTER_BOOTSTRAP_TOKEN=" + token},
			cmd:   []string{"muster", "serve", "--no-agent", "--data", "DIR/data", "--listen", "127.0.0.1:18080"},
			ready: "http://127.0.0.1:18080/readyz",
			load:  []string{"-server", "http://127.0.0.1:18080", "-token", token},
		},
		{
			name:  "VictoriaMetrics, a request per agent",
			cmd:   []string{"victoria-metrics", "-storageDataPath=DIR/data", "-httpListenAddr=127.0.0.1:18428", "-retentionPeriod=1"},
			ready: "http://127.0.0.1:18428/health",
			load:  []string{"-remote-write", "http://127.0.0.1:18428/api/v1/write", "-batch", "1"},
		},
		{
			name:  "VictoriaMetrics, 100 agents in a request",
			cmd:   []string{"victoria-metrics", "-storageDataPath=DIR/data", "-httpListenAddr=127.0.0.1:18428", "-retentionPeriod=1"},
			ready: "http://127.0.0.1:18428/health",
			load:  []string{"-remote-write", "http://127.0.0.1:18428/api/v1/write", "-batch", "100"},
		},
		{
			name:  "Prometheus, 100 agents in a request",
			cmd:   []string{"prometheus", "--config.file=/dev/null", "--storage.tsdb.path=DIR/data", "--web.listen-address=127.0.0.1:19090", "--web.enable-remote-write-receiver"},
			ready: "http://127.0.0.1:19090/-/ready",
			load:  []string{"-remote-write", "http://127.0.0.1:19090/api/v1/write", "-batch", "100"},
		},
	}
}

// loadReport is what muster-load prints.
type loadReport struct {
	SamplesPerSecond float64 `json:"samples_per_second"`
	AckP50           float64 `json:"ack_p50_ms"`
	AckP99           float64 `json:"ack_p99_ms"`
	Errors           int64   `json:"errors"`
	LastError        string  `json:"last_error"`
	SamplesPerCPU    float64 `json:"samples_per_server_cpu_second"`
	RSS              float64 `json:"server_rss_mb"`
	KBPerAgent       float64 `json:"server_kb_per_agent"`
}

func ingest(ctx context.Context, o options) error {
	fmt.Printf("100 metrics a frame, a frame per agent every %s, %s measured\n\n", o.period, o.duration)
	fmt.Println("| agents | server | samples/s | samples per server CPU-second | ack p50 | ack p99 | RSS | per agent | errors |")
	fmt.Println("|---:|---|---:|---:|---:|---:|---:|---:|---:|")
	for _, n := range strings.Split(o.agents, ",") {
		count, err := strconv.Atoi(n)
		if err != nil {
			return fmt.Errorf("-agents: %w", err)
		}
		for _, c := range contenders() {
			r, err := measure(ctx, o, c, count)
			if err != nil {
				fmt.Fprintf(os.Stderr, "left out: %s: %v\n", c.name, err)
				continue
			}
			fmt.Printf("| %d | %s | %.0f | %.0f | %.1f ms | %.1f ms | %.0f MB | %.1f kB | %d |\n", count, c.name, r.SamplesPerSecond, r.SamplesPerCPU, r.AckP50, r.AckP99, r.RSS, r.KBPerAgent, r.Errors)
			if r.LastError != "" {
				fmt.Fprintf(os.Stderr, "%s: %s\n", c.name, r.LastError)
			}
		}
	}
	fmt.Println()
	return ctx.Err()
}

func measure(ctx context.Context, o options, c contender, count int) (*loadReport, error) {
	p, err := start(c.env, c.cmd[0], append([]string(nil), c.cmd[1:]...)...)
	if err != nil {
		return nil, err
	}
	defer p.end()
	if err := waitFor(ctx, c.ready); err != nil {
		return nil, fmt.Errorf("%w; it printed:\n%s", err, p.log())
	}
	args := append([]string{"-agents", strconv.Itoa(count), "-period", o.period.String(), "-duration", o.duration.String(),
		"-warmup", (2 * o.period).String(), "-pid", strconv.Itoa(p.pid())}, c.load...)
	var errs bytes.Buffer
	cmd := exec.CommandContext(ctx, "bin/muster-load", args...)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, errs.String())
	}
	var r loadReport
	return &r, json.Unmarshal(out, &r)
}

// waitFor asks a URL until it answers 2xx, at most 20 s.
func waitFor(ctx context.Context, url string) error {
	for range 200 {
		res, err := http.Get(url)
		if err == nil {
			res.Body.Close()
			if res.StatusCode/100 == 2 {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return errors.New("not ready within 20 s")
}
