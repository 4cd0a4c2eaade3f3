//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"muster"
	"muster/internal/wire"
)

var footprint = flag.Duration("footprint", 0, "measure the agent beside prometheus-node-exporter for so long (10m is good)")

// TestFootprint measures and prints; it judges only with time enough. Repeat with
//
//	go test ./cmd/muster-agent -run Footprint -footprint 10m -timeout 15m -v
func TestFootprint(t *testing.T) {
	if *footprint == 0 {
		t.Skip("only with -footprint")
	}
	dir := t.TempDir()
	binary := filepath.Join(dir, "muster-agent")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	server := httptest.NewServer(http.HandlerFunc(acknowledge))
	defer server.Close()
	// The first two minutes are quick ones: an identity that is not young goes without them.
	state := filepath.Join(dir, "state")
	enrol := launch(t, binary, "--server", server.URL, "--token", "t", "--state", state)
	time.Sleep(2 * time.Second)
	stop(enrol)
	age(t, filepath.Join(state, "identity.json"))

	agent := launch(t, binary, "--server", server.URL, "--state", state)
	defer stop(agent)
	const address = "127.0.0.1:19100"
	exporter := exec.Command("prometheus-node-exporter", "--web.listen-address="+address)
	if err := exporter.Start(); err != nil {
		t.Skip("prometheus-node-exporter is not here: apt install prometheus-node-exporter")
	}
	defer stop(exporter)
	time.Sleep(2 * time.Second)
	agentBefore, exporterBefore := cpu(t, agent), cpu(t, exporter)
	for end := time.Now().Add(*footprint); time.Now().Before(end); time.Sleep(10 * time.Second) {
		scrape(t, "http://"+address+"/metrics")
	}
	agentCPU, exporterCPU := cpu(t, agent)-agentBefore, cpu(t, exporter)-exporterBefore
	pss, rss := memory(t, agent)
	otherPss, otherRss := memory(t, exporter)
	per := float64(10*time.Minute) / float64(*footprint)
	fmt.Printf("muster-agent:             %.2f CPU-seconds per 10 minutes, Pss %d kB, RSS %d kB\n", agentCPU*per, pss, rss)
	fmt.Printf("prometheus-node-exporter: %.2f CPU-seconds per 10 minutes, Pss %d kB, RSS %d kB\n", exporterCPU*per, otherPss, otherRss)
	if *footprint >= 5*time.Minute && (pss > 12<<10 || rss >= 20<<10 || agentCPU > exporterCPU/2) {
		t.Error("the agent is over its budget: Pss 12 MB, RSS 20 MB, half of the exporter's CPU time")
	}
}

// acknowledge is a server that takes everything.
func acknowledge(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{wire.Subprotocol}})
	if err != nil {
		return
	}
	defer conn.CloseNow()
	ctx := context.Background()
	send := func(m wire.Message) { _ = conn.Write(ctx, websocket.MessageBinary, wire.Marshal(nil, 1, 1, m)) }
	nonce := make([]byte, wire.NonceSize)
	rand.Read(nonce)
	send(&wire.Challenge{Nonce: nonce})
	for {
		_, b, err := conn.Read(ctx)
		if err != nil {
			return
		}
		env, err := wire.ParseEnvelope(b)
		if err != nil {
			return
		}
		if env.Kind == wire.KindHello {
			send(&wire.Welcome{Node: muster.NodeID{1}, Account: "main"})
			continue
		}
		send(&wire.Ack{Through: env.Seq})
	}
}

func launch(t *testing.T, program string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(program, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func stop(cmd *exec.Cmd) {
	_ = cmd.Process.Signal(os.Interrupt)
	_ = cmd.Wait()
}

// age makes an identity an hour older.
func age(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(b, []byte(`"created_at": "`)) + len(`"created_at": "`)
	copy(b[at:], "2020")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func scrape(t *testing.T, url string) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Fatal(err)
	}
}

// cpu is the processor time a process has used, in seconds.
func cpu(t *testing.T, cmd *exec.Cmd) float64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	return (user + system) / 100
}

// memory is what a process has in memory, in kB.
func memory(t *testing.T, cmd *exec.Cmd) (pss, rss int) {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		fields := strings.Fields(line)
		switch fields[0] {
		case "Pss:":
			pss, _ = strconv.Atoi(fields[1])
		case "Rss:":
			rss, _ = strconv.Atoi(fields[1])
		}
	}
	return pss, rss
}
