package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// require skips a test whose service is missing, aloud; where everything has to be there it fails.
func require(t testing.TB, ok bool, what string) {
	t.Helper()
	if ok {
		return
	}
	if os.Getenv("MUSTER_REQUIRE") == "all" {
		t.Fatalf("missing: %s", what)
	}
	t.Skipf("SKIPPED, missing: %s", what)
}

var binaries = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "muster-e2e-")
	if err != nil {
		return "", err
	}
	for out, pkg := range map[string]string{"muster": "./cmd/muster", "muster-agent": "./cmd/muster-agent", "agents/muster-agent-linux-" + runtime.GOARCH: "./cmd/muster-agent"} {
		cmd := exec.Command("go", "build", "-o", filepath.Join(dir, out), pkg)
		cmd.Dir = filepath.Join("..", "..")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if text, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("build %s: %v\n%s", pkg, err, text)
		}
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := binaries(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

func binary(t testing.TB, name string) string {
	t.Helper()
	dir, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

const bootstrapToken = "e2e-bootstrap-token-0123456789abcdef0123456789abcdef"

// server is a running `muster serve`.
type server struct {
	t    testing.TB
	data string
	addr string
	url  string
	args []string
	env  []string
	// token is what call shows: the bootstrap token, or that of the command line for a server that has none.
	token string
	cmd   *exec.Cmd
	out   *lines
}

// lines collects what a process printed.
type lines struct {
	mu   sync.Mutex
	text []string
	news chan struct{}
}

func (l *lines) follow(r io.Reader) {
	scan := bufio.NewScanner(r)
	for scan.Scan() {
		l.mu.Lock()
		l.text = append(l.text, scan.Text())
		close(l.news)
		l.news = make(chan struct{})
		l.mu.Unlock()
	}
}

// wait gives the first line that holds all the words.
func (l *lines) wait(t testing.TB, limit time.Duration, words ...string) string {
	t.Helper()
	end := time.After(limit)
	for next := 0; ; {
		l.mu.Lock()
		for ; next < len(l.text); next++ {
			if all(l.text[next], words) {
				line := l.text[next]
				l.mu.Unlock()
				return line
			}
		}
		news := l.news
		l.mu.Unlock()
		select {
		case <-news:
		case <-end:
			t.Fatalf("nothing with %q within %s; printed:\n%s", words, limit, l.all())
		}
	}
}

func (l *lines) all() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.text, "\n")
}

func all(line string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(line, w) {
			return false
		}
	}
	return true
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// newServer prepares a server on a free port with its own data directory; start starts it.
func newServer(t testing.TB, args ...string) *server {
	t.Helper()
	addr := freePort(t)
	s := &server{t: t, data: t.TempDir(), addr: addr, url: "http://" + addr, args: args, env: []string{"MUSTER_BOOTSTRAP_TOKEN=" + bootstrapToken}, token: bootstrapToken}
	t.Cleanup(func() { s.kill() })
	return s
}

func (s *server) start() {
	s.t.Helper()
	args := append([]string{"serve", "--data", s.data, "--listen", s.addr}, s.args...)
	s.cmd = exec.Command(binary(s.t, "muster"), args...)
	s.cmd.Env = append(os.Environ(), s.env...)
	s.out = run(s.t, s.cmd)
}

// run starts a command whose output is collected.
func run(t testing.TB, cmd *exec.Cmd) *lines {
	t.Helper()
	out := &lines{news: make(chan struct{})}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = write, write
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	write.Close()
	go func() { out.follow(read); read.Close() }()
	return out
}

// ready waits until the server answers.
func (s *server) ready() {
	s.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		res, err := http.Get(s.url + "/readyz")
		if err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(end) {
			s.t.Fatalf("not ready: %v; printed:\n%s", err, s.out.all())
		}
	}
}

// kill ends the process as a power failure would.
func (s *server) kill() {
	if s.cmd != nil && s.cmd.Process != nil {
		s.cmd.Process.Kill()
		s.cmd.Wait()
		s.cmd = nil
	}
}

// stop ends it as an operator does and gives the exit code.
func (s *server) stop() int {
	s.t.Helper()
	s.cmd.Process.Signal(syscall.SIGTERM)
	err := s.cmd.Wait()
	code := s.cmd.ProcessState.ExitCode()
	if err != nil && code < 0 {
		s.t.Fatal(err)
	}
	s.cmd = nil
	return code
}

// call asks the API and decodes the answer into out, which may be nil.
func (s *server) call(method, path string, body, out any) int {
	s.t.Helper()
	var send io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			s.t.Fatal(err)
		}
		send = strings.NewReader(string(b))
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, send)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	if out != nil && len(b) > 0 {
		if err := json.Unmarshal(b, out); err != nil {
			s.t.Fatalf("%s %s: %v in %s", method, path, err, b)
		}
	}
	return res.StatusCode
}

type enrollment struct {
	ID, Token, Command string
}

func (s *server) enroll(uses int) enrollment {
	s.t.Helper()
	var e enrollment
	if code := s.call("POST", "/v1/enrollments", map[string]any{"uses": uses, "ttl": "1h"}, &e); code != http.StatusCreated {
		s.t.Fatalf("enrolment: %d %+v", code, e)
	}
	return e
}

type node struct {
	ID, Name, Hostname, State string
	LastSeen                  *time.Time `json:"last_seen"`
	Facts                     map[string]string
	Tags                      []string
	Agent                     struct {
		Version   string
		Connected bool
	}
}

func (s *server) nodes() []node {
	s.t.Helper()
	var list struct{ Items []node }
	if code := s.call("GET", "/v1/nodes", nil, &list); code != http.StatusOK {
		s.t.Fatalf("nodes: %d", code)
	}
	return list.Items
}

// until tries again and again until what is true, at most limit long.
func until(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", limit, what)
		}
	}
}
