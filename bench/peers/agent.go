package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// agents runs a Muster server and agent beside a node exporter that is scraped at the same period.
func agents(ctx context.Context, o options) error {
	server, err := start([]string{"MUSTER_BOOTSTRAP_TOKEN=" + token}, "muster", "serve", "--no-agent", "--data", "DIR/data", "--listen", "127.0.0.1:18081")
	if err != nil {
		return err
	}
	defer server.end()
	if err := waitFor(ctx, "http://127.0.0.1:18081/readyz"); err != nil {
		return fmt.Errorf("%w; it printed:\n%s", err, server.log())
	}
	enrol, err := enrollment(ctx, "http://127.0.0.1:18081")
	if err != nil {
		return err
	}
	agent, err := start(nil, "muster-agent", "--server", "http://127.0.0.1:18081", "--token", enrol, "--state", "DIR/state", "--period", o.period.String())
	if err != nil {
		return err
	}
	defer agent.end()
	exporter, err := start(nil, "prometheus-node-exporter", "--web.listen-address=127.0.0.1:19100")
	if err != nil {
		return err
	}
	defer exporter.end()
	if err := waitFor(ctx, "http://127.0.0.1:19100/metrics"); err != nil {
		return err
	}
	scrapes, stop := context.WithCancel(ctx)
	defer stop()
	go scrape(scrapes, "http://127.0.0.1:19100/metrics", o.period)
	// The agent measures every second for its first two minutes; both are compared after that.
	if err := sleep(ctx, 150*time.Second); err != nil {
		return err
	}
	rows := []struct {
		name   string
		pid    int
		before float64
	}{{"muster-agent", agent.pid(), 0}, {"prometheus-node-exporter", exporter.pid(), 0}, {"muster serve with one node", server.pid(), 0}}
	for i := range rows {
		rows[i].before = cpuSeconds(rows[i].pid)
	}
	if err := sleep(ctx, o.agentFor); err != nil {
		return err
	}
	fmt.Printf("every %s, side by side for %s\n\n| process | CPU-seconds per 10 min | Pss | RSS |\n|---|---:|---:|---:|\n", o.period, o.agentFor)
	for _, r := range rows {
		used := (cpuSeconds(r.pid) - r.before) * float64(10*time.Minute) / float64(o.agentFor)
		pss, rss := memory(r.pid)
		fmt.Printf("| %s | %.2f | %.1f MB | %.1f MB |\n", r.name, used, pss, rss)
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func scrape(ctx context.Context, url string, period time.Duration) {
	for {
		res, err := http.Get(url)
		if err == nil {
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
		if sleep(ctx, period) != nil {
			return
		}
	}
}

func enrollment(ctx context.Context, server string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, server+"/v1/enrollments", strings.NewReader(`{"uses":1,"ttl":"1h"}`))
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var e struct{ Token string }
	err = json.NewDecoder(res.Body).Decode(&e)
	return e.Token, err
}

// cpuSeconds reads what a process has used so far, all its threads together, to the nanosecond where
// the kernel counts so.
func cpuSeconds(pid int) float64 {
	var total float64
	tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	for _, task := range tasks {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/schedstat", pid, task.Name()))
		if err != nil {
			continue
		}
		ns, _ := strconv.ParseFloat(strings.Fields(string(text))[0], 64)
		total += ns / 1e9
	}
	return total
}

// memory reads Pss and RSS, in MB.
func memory(pid int) (pss, rss float64) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		kb, _ := strconv.ParseFloat(f[1], 64)
		switch f[0] {
		case "Pss:":
			pss = kb * 1024 / 1e6
		case "Rss:":
			rss = kb * 1024 / 1e6
		}
	}
	return pss, rss
}
