package checktest

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Serve takes TCP connections on a loopback port and gives each to the function in a goroutine of its own; the
// connection is closed when that returns. All end with the test.
func Serve(t testing.TB, serve func(conn net.Conn)) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	open := map[net.Conn]bool{}
	over := false
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			if open[conn] = true; over {
				conn.Close()
			}
			mu.Unlock()
			wg.Go(func() {
				defer conn.Close()
				serve(conn)
				mu.Lock()
				delete(open, conn)
				mu.Unlock()
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		over = true
		for conn := range open {
			conn.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// Datagrams takes UDP on a loopback port and sends back what the function makes of each datagram, nil for nothing.
func Datagrams(t testing.TB, answer func(asked []byte) [][]byte) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1<<16)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				continue
			}
			for _, b := range answer(bytes.Clone(buf[:n])) {
				conn.WriteToUDPAddrPort(b, from)
			}
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// Silent is a Serve that takes all and answers nothing.
func Silent(conn net.Conn) {
	buf := make([]byte, 4096)
	for {
		if _, err := conn.Read(buf); err != nil {
			return
		}
	}
}

// Answer is a Serve that sends these bytes at once, and then takes what comes until the other side has enough.
func Answer(b []byte) func(conn net.Conn) {
	return func(conn net.Conn) {
		conn.Write(b)
		conn.(*net.TCPConn).CloseWrite()
		Silent(conn)
	}
}

// Reset ends a connection the hard way, by RST.
func Reset(conn net.Conn) {
	conn.(*net.TCPConn).SetLinger(0)
	conn.Close()
}

// Program finds a program of a service. Where it is missing the test is skipped aloud, or fails when the
// environment's MUSTER_REQUIRE, which the test passes on, is "all".
func Program(t testing.TB, name, require string) string {
	t.Helper()
	for _, dir := range []string{"", "/usr/sbin/", "/usr/local/sbin/", "/sbin/"} {
		if path, err := exec.LookPath(dir + name); err == nil {
			return path
		}
	}
	if require == "all" {
		t.Fatalf("missing: %s; sh deploy/test-deps.sh installs it", name)
	}
	t.Skipf("SKIPPED, missing: %s; sh deploy/test-deps.sh installs it", name)
	return ""
}

// Start runs a service in the foreground until the test ends, and waits until it takes connections at the address.
func Start(t testing.TB, at netip.AddrPort, program string, args ...string) {
	t.Helper()
	var said bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(Long):
			cmd.Process.Kill()
			<-ended
		}
	})
	for end := time.Now().Add(Long); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.DialTimeout("tcp", at.String(), time.Second)
		if err == nil {
			conn.Close()
			return
		}
		select {
		case <-ended:
			t.Fatalf("%s ended: %s", program, said.String())
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("%s takes no connections at %s", program, at)
		}
	}
}

// FreePort finds a loopback address that is free for TCP and UDP now.
func FreePort(t testing.TB) netip.AddrPort {
	t.Helper()
	for range 20 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		at := l.Addr().(*net.TCPAddr).AddrPort()
		u, err := net.ListenPacket("udp", at.String())
		l.Close()
		if err == nil {
			u.Close()
			return at
		}
	}
	t.Fatal("no free port")
	return netip.AddrPort{}
}

// Dir makes a directory for a service's files, readable by whatever user it runs as.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "muster-check-"+strconv.Itoa(os.Getpid())+"-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
