// Command dev rebuilds the server whenever a source file changes and starts it anew. A build that
// fails leaves the running server alone and prints why.
package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var server *exec.Cmd
	var seen time.Time
	for ctx.Err() == nil {
		if newest := newestSource(); newest.After(seen) {
			seen = newest
			if build(ctx) {
				end(server)
				server = start()
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(300 * time.Millisecond):
		}
	}
	end(server)
}

// newestSource gives the time of the last change to a file the server is built from.
func newestSource() (newest time.Time) {
	filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if d.IsDir() && p != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "bin" || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if info, err := d.Info(); err == nil && info.ModTime().After(newest) && built(p) {
			newest = info.ModTime()
		}
		return nil
	})
	return newest
}

func built(name string) bool {
	if strings.HasSuffix(name, "_test.go") {
		return false
	}
	switch filepath.Ext(name) {
	case ".go", ".html", ".css", ".js", ".svg", ".mod":
		return true
	}
	return false
}

func build(ctx context.Context) bool {
	start := time.Now()
	for _, what := range []string{"muster", "muster-agent"} {
		cmd := exec.CommandContext(ctx, "go", "build", "-o", "bin/"+what, "./cmd/"+what)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if cmd.Run() != nil {
			return false
		}
	}
	fmt.Printf("built in %.1f s\n", time.Since(start).Seconds())
	return true
}

func start() *exec.Cmd {
	cmd := exec.Command("bin/muster", append([]string{"serve"}, os.Args[1:]...)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "dev:", err)
		return nil
	}
	return cmd
}

func end(cmd *exec.Cmd) {
	if cmd == nil {
		return
	}
	cmd.Process.Signal(syscall.SIGTERM)
	cmd.Wait()
}
