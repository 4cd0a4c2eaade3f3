// Command checks measures what a check costs: how many a second of processor time makes, of each kind,
// against targets in another process, so that their work is not counted. With the blackbox exporter
// installed (Debian: prometheus-blackbox-exporter) it is given the same targets to compare.
//
//	go run ./bench/checks -for 5s
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"muster/internal/check"
	"muster/internal/check/http"
	"muster/internal/check/tcp"
)

func main() {
	length := flag.Duration("for", 5*time.Second, "how long each is measured")
	workers := flag.Int("workers", 16, "how many run at once")
	flag.Parse()
	if flag.Arg(0) == "target" {
		serve()
		return
	}
	if err := run(*length, *workers); err != nil {
		fmt.Fprintln(os.Stderr, "checks:", err)
		os.Exit(1)
	}
}

// serve is the target: it prints its addresses and answers until its input ends.
func serve() {
	hello := nethttp.HandlerFunc(func(w nethttp.ResponseWriter, _ *nethttp.Request) {
		w.Header().Set("Server", "target")
		io.WriteString(w, strings.Repeat("hello, world\n", 40))
	})
	fmt.Println(httptest.NewServer(hello).URL, httptest.NewTLSServer(hello).URL)
	io.Copy(io.Discard, os.Stdin)
}

func run(length time.Duration, workers int) error {
	target := exec.Command(os.Args[0], "target")
	in, err := target.StdinPipe()
	if err != nil {
		return err
	}
	defer in.Close()
	outPipe, err := target.StdoutPipe()
	if err != nil {
		return err
	}
	if err := target.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(outPipe).ReadString('\n')
	if err != nil {
		return err
	}
	plain, secure, _ := strings.Cut(strings.TrimSpace(line), " ")
	where, err := url.Parse(plain)
	if err != nil {
		return err
	}
	ours := map[string]float64{}
	for _, c := range []struct {
		name   string
		kind   check.Kind
		config string
	}{
		{"http", http.New(), fmt.Sprintf(`{"url":%q}`, plain)},
		{"https", http.New(), fmt.Sprintf(`{"url":%q,"tls_skip_verify":true}`, secure)},
		{"tcp", tcp.New(), fmt.Sprintf(`{"host":"127.0.0.1","port":%s}`, where.Port())},
	} {
		rate, err := measure(c.kind, c.config, length, workers)
		if err != nil {
			return err
		}
		ours[c.name] = rate
		fmt.Printf("muster   %-6s %8.0f checks per CPU-second\n", c.name, rate)
	}
	return peer(map[string]string{"http": plain, "https": secure, "tcp": where.Host}, ours, length, workers)
}

func measure(kind check.Kind, config string, length time.Duration, workers int) (float64, error) {
	probe, err := kind.Parse([]byte(config))
	if err != nil {
		return 0, err
	}
	env := &check.Env{}
	var failed atomic.Pointer[string]
	before := own()
	n := repeat(length, workers, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		var out check.Outcome
		probe.Run(ctx, env, &out)
		if out.Failed() {
			failed.Store(&out.Error)
		}
		return !out.Failed()
	})
	if text := failed.Load(); text != nil {
		return 0, fmt.Errorf("%s: %s", kind.Name(), *text)
	}
	return float64(n) / (own() - before).Seconds(), nil
}

// repeat runs the function from several goroutines and says how often it ran.
func repeat(length time.Duration, workers int, once func() bool) int64 {
	var n atomic.Int64
	var wg sync.WaitGroup
	end := time.Now().Add(length)
	for range workers {
		wg.Go(func() {
			for time.Now().Before(end) && once() {
				n.Add(1)
			}
		})
	}
	wg.Wait()
	return n.Load()
}

// own gives the processor time of this process.
func own() time.Duration {
	var used syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

const peerConfig = `modules:
  http: {prober: http, http: {preferred_ip_protocol: ip4}}
  https: {prober: http, http: {preferred_ip_protocol: ip4, tls_config: {insecure_skip_verify: true}}}
  tcp: {prober: tcp, tcp: {preferred_ip_protocol: ip4}}
`

// peer gives the same targets to the blackbox exporter.
func peer(targets map[string]string, ours map[string]float64, length time.Duration, workers int) error {
	program, err := exec.LookPath("prometheus-blackbox-exporter")
	if err != nil {
		fmt.Println("no prometheus-blackbox-exporter to compare with")
		return nil
	}
	dir, err := os.MkdirTemp("", "checks-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "blackbox.yml")
	if err := os.WriteFile(file, []byte(peerConfig), 0o600); err != nil {
		return err
	}
	address := freeAddress()
	cmd := exec.Command(program, "--config.file="+file, "--web.listen-address="+address, "--log.level=error")
	if err := cmd.Start(); err != nil {
		return err
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	client := &nethttp.Client{Transport: &nethttp.Transport{MaxIdleConnsPerHost: workers}}
	for _, name := range []string{"http", "https", "tcp"} {
		ask := "http://" + address + "/probe?module=" + name + "&target=" + url.QueryEscape(targets[name])
		for tries := 0; !probeOnce(client, ask); tries++ {
			if tries == 50 {
				return fmt.Errorf("the blackbox exporter does not answer %s", ask)
			}
			time.Sleep(100 * time.Millisecond)
		}
		before := of(cmd.Process.Pid)
		n := repeat(length, workers, func() bool { return probeOnce(client, ask) })
		rate := float64(n) / (of(cmd.Process.Pid) - before).Seconds()
		fmt.Printf("blackbox %-6s %8.0f checks per CPU-second; muster makes %.1f times as many\n", name, rate, ours[name]/rate)
	}
	return nil
}

func probeOnce(client *nethttp.Client, ask string) bool {
	answer, err := client.Get(ask)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return err == nil && strings.Contains(string(text), "\nprobe_success 1\n")
}

func freeAddress() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "127.0.0.1:9115"
	}
	defer l.Close()
	return l.Addr().String()
}

// of gives the processor time of another process, as the kernel counts it in hundredths of a second.
func of(pid int) time.Duration {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}
