package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// targets is how many pages are looked at, each every second.
const targets = 1000

// checks has the same pages looked at by Muster, results stored and alarms judged, and by the blackbox exporter that
// Prometheus drives: a connection for every look, the target's own work not counted.
func checks(ctx context.Context, o options) error {
	target, err := start(nil, os.Args[0], "-target", "127.0.0.1:18090")
	if err != nil {
		return err
	}
	defer target.end()
	if err := waitFor(ctx, "http://127.0.0.1:18090/"); err != nil {
		return err
	}
	fmt.Printf("%d pages, each looked at every second, a connection each, %s measured\n\n| | looks a second | looks per CPU-second | RSS |\n|---|---:|---:|---:|\n", targets, o.duration)
	for _, side := range []func(context.Context, options) error{musterChecks, blackboxChecks} {
		if err := side(ctx, o); err != nil {
			fmt.Fprintln(os.Stderr, "left out:", err)
		}
	}
	return ctx.Err()
}

// serveTarget answers every path with a short page.
func serveTarget(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	page := []byte(strings.Repeat("hello, world\n", 40))
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(page) }))
}

func musterChecks(ctx context.Context, o options) error {
	const base = "http://127.0.0.1:18081"
	p, err := start([]string{"MUSTER_BOOTSTRAP_TOKEN=" + token}, "muster", "serve", "--data", "DIR/data", "--listen", "127.0.0.1:18081")
	if err != nil {
		return err
	}
	defer p.end()
	if err := waitFor(ctx, base+"/readyz"); err != nil {
		return fmt.Errorf("%w; it printed:\n%s", err, p.log())
	}
	for i := range targets {
		body, err := json.Marshal(map[string]any{
			"name": fmt.Sprintf("page %d", i), "kind": "http", "period": "1s", "timeout": "900ms", "config": map[string]string{"url": fmt.Sprintf("http://127.0.0.1:18090/%d", i)},
		})
		if err != nil {
			return err
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/v1/checks", bytes.NewReader(body))
		if err != nil {
			return err
		}
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		res.Body.Close()
		if res.StatusCode != http.StatusCreated {
			return fmt.Errorf("a check was refused: %s", res.Status)
		}
	}
	looks := func() (float64, error) { return counter(base+"/metrics", "muster_roster_results_total") }
	return compare(ctx, o, "Muster, results stored, alarms judged", looks, p)
}

func blackboxChecks(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "muster-peers-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	modules := "modules:\n  http_2xx:\n    prober: http\n    timeout: 1s\n    http: {preferred_ip_protocol: ip4}\n"
	var scrape strings.Builder
	scrape.WriteString("global: {scrape_interval: 1s, scrape_timeout: 900ms}\nscrape_configs:\n- job_name: pages\n  metrics_path: /probe\n  params: {module: [http_2xx]}\n  static_configs:\n  - targets:\n")
	for i := range targets {
		fmt.Fprintf(&scrape, "    - http://127.0.0.1:18090/%d\n", i)
	}
	scrape.WriteString("  relabel_configs:\n  - {source_labels: [__address__], target_label: __param_target}\n  - {source_labels: [__param_target], target_label: instance}\n  - {target_label: __address__, replacement: '127.0.0.1:19115'}\n")
	for name, text := range map[string]string{"modules.yml": modules, "prometheus.yml": scrape.String()} {
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o600); err != nil {
			return err
		}
	}
	exporter, err := start(nil, "prometheus-blackbox-exporter", "--config.file="+dir+"/modules.yml", "--web.listen-address=127.0.0.1:19115")
	if err != nil {
		return err
	}
	defer exporter.end()
	driver, err := start(nil, "prometheus", "--config.file="+dir+"/prometheus.yml", "--storage.tsdb.path=DIR/data", "--web.listen-address=127.0.0.1:19090")
	if err != nil {
		return err
	}
	defer driver.end()
	if err := waitFor(ctx, "http://127.0.0.1:19090/-/ready"); err != nil {
		return fmt.Errorf("%w; it printed:\n%s", err, driver.log())
	}
	// Prometheus counts in its own terms how many samples it took: every probe has one of this name.
	looks := func() (float64, error) {
		return counter("http://127.0.0.1:19090/metrics", `prometheus_target_interval_length_seconds_count{interval="1s"}`)
	}
	return compare(ctx, o, "blackbox exporter driven by Prometheus", looks, exporter, driver)
}

// compare measures what processes together take for the looks that they make.
func compare(ctx context.Context, o options, name string, looks func() (float64, error), processes ...*process) error {
	if err := sleep(ctx, 15*time.Second); err != nil {
		return err
	}
	used := func() (sum float64) {
		for _, p := range processes {
			sum += cpuSeconds(p.pid())
		}
		return sum
	}
	before, n, begun := used(), 0.0, time.Now()
	first, err := looks()
	if err == nil {
		err = sleep(ctx, o.duration)
	}
	if err == nil {
		n, err = looks()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	cpu, n := used()-before, n-first
	rss := 0.0
	for _, p := range processes {
		_, one := memory(p.pid())
		rss += one
	}
	fmt.Printf("| %s | %.0f | %.0f | %.0f MB |\n", name, n/time.Since(begun).Seconds(), n/cpu, rss)
	return nil
}

// counter reads one line of a page of Prometheus' text.
func counter(url, name string) (float64, error) {
	res, err := http.Get(url)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(res.Body); err != nil {
		return 0, err
	}
	for line := range strings.Lines(text.String()) {
		if v, ok := strings.CutPrefix(line, name+" "); ok {
			return strconv.ParseFloat(strings.TrimSpace(v), 64)
		}
	}
	return 0, fmt.Errorf("%s has no %s", url, name)
}
