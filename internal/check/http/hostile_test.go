package http_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"muster"
	"muster/internal/check"
	"muster/internal/check/checktest"
	"muster/internal/check/http"
)

// asked reads a request, so that closing afterwards is no reset, and hands over.
func asked(t testing.TB, serve func(conn net.Conn)) string {
	t.Helper()
	return "http://" + checktest.Serve(t, func(conn net.Conn) {
		if _, err := nethttp.ReadRequest(bufio.NewReader(conn)); err == nil {
			serve(conn)
		}
	}).String()
}

// endless writes one thing again and again until the other side has enough.
func endless(conn io.Writer, again string) {
	for chunk := []byte(strings.Repeat(again, 1+(32<<10)/len(again))); ; {
		if _, err := conn.Write(chunk); err != nil {
			return
		}
	}
}

// slowly writes a byte now and then until the other side has enough.
func slowly(conn io.Writer, b byte) {
	for {
		if _, err := conn.Write([]byte{b}); err != nil {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

const head = "HTTP/1.1 200 OK\r\n"

func TestHostileServers(t *testing.T) {
	for name, c := range map[string]struct {
		serve func(conn net.Conn)
		class string
		says  string
	}{
		"header flood":         {func(c net.Conn) { io.WriteString(c, head); endless(c, "X-Flood: yes\r\n") }, check.ClassProtocol, "longer than 64 KiB"},
		"one endless header":   {func(c net.Conn) { io.WriteString(c, head+"X: "); endless(c, "x") }, check.ClassProtocol, "longer than 64 KiB"},
		"endless status line":  {func(c net.Conn) { endless(c, "HTTP/1.1 200 ") }, check.ClassProtocol, "longer than 64 KiB"},
		"endless hints":        {func(c net.Conn) { endless(c, "HTTP/1.1 103 Early Hints\r\n\r\n") }, check.ClassProtocol, "only announce"},
		"closed at once":       {func(net.Conn) {}, check.ClassProtocol, "closed before"},
		"closed in the head":   {func(c net.Conn) { io.WriteString(c, head+"Content-") }, check.ClassProtocol, "closed before"},
		"reset":                {checktest.Reset, check.ClassProtocol, "reset"},
		"reset in the body":    {func(c net.Conn) { io.WriteString(c, head+"Content-Length: 100\r\n\r\nabc"); checktest.Reset(c) }, check.ClassProtocol, ""},
		"shorter than it said": {func(c net.Conn) { io.WriteString(c, head+"Content-Length: 100\r\n\r\nabc") }, check.ClassProtocol, "cut off after 3 bytes"},
		"negative length":      {func(c net.Conn) { io.WriteString(c, head+"Content-Length: -5\r\n\r\nabc") }, check.ClassProtocol, ""},
		"two lengths":          {func(c net.Conn) { io.WriteString(c, head+"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc") }, check.ClassProtocol, ""},
		"no HTTP":              {func(c net.Conn) { io.WriteString(c, "220 mail.example ESMTP\r\n") }, check.ClassProtocol, ""},
		"HTTP/2":               {func(c net.Conn) { io.WriteString(c, "HTTP/2.0 200 OK\r\n\r\n") }, check.ClassProtocol, "not HTTP/1"},
		"bad chunk length":     {func(c net.Conn) { io.WriteString(c, head+"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n") }, check.ClassProtocol, ""},
		"huge chunk length":    {func(c net.Conn) { io.WriteString(c, head+"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n") }, check.ClassProtocol, ""},
		"chunk cut off":        {func(c net.Conn) { io.WriteString(c, head+"Transfer-Encoding: chunked\r\n\r\n10\r\nabc") }, check.ClassProtocol, "cut off"},
		"endless trailers": {func(c net.Conn) {
			io.WriteString(c, head+"Transfer-Encoding: chunked\r\n\r\n0\r\n")
			endless(c, "X: y\r\n")
		}, check.ClassProtocol, ""},
		"chunk extensions": {func(c net.Conn) {
			io.WriteString(c, head+"Transfer-Encoding: chunked\r\n\r\n")
			endless(c, "1;"+strings.Repeat("x", 100)+"\r\na\r\n")
		}, check.ClassProtocol, ""},
		"no gzip": {func(c net.Conn) { io.WriteString(c, head+"Content-Encoding: gzip\r\n\r\nabc") }, check.ClassProtocol, "is not"},
		"gzip cut off": {func(c net.Conn) {
			io.WriteString(c, head+"Content-Encoding: gzip\r\n\r\n\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\x01")
		}, check.ClassProtocol, "is not"},
		"half closed, then no": {func(c net.Conn) { c.(*net.TCPConn).CloseWrite(); checktest.Silent(c) }, check.ClassProtocol, "closed before"},
	} {
		t.Run(name, func(t *testing.T) {
			out := look(t, "url", asked(t, c.serve))
			if out.Class != c.class || out.Status != muster.StatusCritical || !strings.Contains(out.Error, c.says) {
				t.Errorf("%s %s: %s", out.Status, out.Class, out.Error)
			}
		})
	}
}

func TestSlowServersEndWithTheRun(t *testing.T) {
	for name, serve := range map[string]func(conn net.Conn){
		"head": func(c net.Conn) { io.WriteString(c, head+"X: "); slowly(c, 'x') },
		"body": func(c net.Conn) { io.WriteString(c, head+"\r\n"); slowly(c, 'x') },
		"chunks": func(c net.Conn) {
			io.WriteString(c, head+"Transfer-Encoding: chunked\r\n\r\n1000\r\n")
			slowly(c, 'x')
		},
		"nothing after the head": func(c net.Conn) { io.WriteString(c, head+"Content-Length: 5\r\n\r\n"); checktest.Silent(c) },
	} {
		t.Run(name, func(t *testing.T) {
			out := checktest.Look(t, http.New(), config("url", asked(t, serve)), nil, 200*time.Millisecond)
			if out.Class != check.ClassTimeout {
				t.Errorf("%s: %s", out.Class, out.Error)
			}
		})
	}
}

func TestBodiesAreBounded(t *testing.T) {
	const most = 1 << 20
	for name, serve := range map[string]func(conn net.Conn){
		"endless": func(c net.Conn) { io.WriteString(c, head+"\r\n"); endless(c, "abc") },
		"endless chunks": func(c net.Conn) {
			io.WriteString(c, head+"Transfer-Encoding: chunked\r\n\r\n")
			endless(c, "3e8\r\n"+strings.Repeat("abcd", 250)+"\r\n")
		},
		"says a lot": func(c net.Conn) {
			io.WriteString(c, head+"Content-Length: 9000000000000000000\r\n\r\n")
			endless(c, "abc")
		},
	} {
		t.Run(name, func(t *testing.T) {
			out := look(t, "url", asked(t, serve), "body_match", "^(abc)+")
			size, _ := checktest.Value(out, "http.response.body.size")
			cut, _ := checktest.Value(out, "http.response.truncated")
			if size != most || cut != 1 {
				t.Errorf("%v bytes, truncated %v: %s", size, cut, out.Error)
			}
		})
	}
	exactly := web(t, func(w nethttp.ResponseWriter, _ *nethttp.Request) { w.Write(make([]byte, most)) })
	out := look(t, "url", exactly)
	if cut, _ := checktest.Value(out, "http.response.truncated"); cut != 0 || out.Status != muster.StatusOK {
		t.Errorf("a body of just the most is truncated: %+v", out)
	}
	out = look(t, "url", exactly, "body_match", "there")
	if out.Class != check.ClassBody || strings.Contains(out.Error, "first") {
		t.Errorf("%s: %s", out.Class, out.Error)
	}
}

func TestGzipBombIsBounded(t *testing.T) {
	var bomb bytes.Buffer
	packer := gzip.NewWriter(&bomb)
	for range 4 {
		packer.Write(make([]byte, 1<<20))
	}
	packer.Close()
	url := asked(t, func(c net.Conn) {
		fmt.Fprintf(c, head+"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n", bomb.Len())
		c.Write(bomb.Bytes())
	})
	for _, match := range []string{"", "^\\x00{500}"} {
		out := look(t, "url", url, "body_match", match)
		cut, _ := checktest.Value(out, "http.response.truncated")
		if size, _ := checktest.Value(out, "http.response.body.size"); out.Status != muster.StatusOK || cut != 1 || size > float64(bomb.Len()) {
			t.Errorf("truncated %v after %v bytes: %s", cut, size, out.Error)
		}
	}
}

// TestSearchEndsWithTheRun gives an expression the text it is slowest on.
func TestSearchEndsWithTheRun(t *testing.T) {
	url := web(t, func(w nethttp.ResponseWriter, _ *nethttp.Request) { w.Write(bytes.Repeat([]byte("x"), 1<<20)) })
	out := checktest.Look(t, http.New(), config("url", url, "body_match", strings.Repeat("(x+x+)+", 140)+"y"), nil, 500*time.Millisecond)
	if out.Class != check.ClassTimeout {
		t.Errorf("%s: %s", out.Class, out.Error)
	}
}

func TestHintsComeBeforeTheAnswer(t *testing.T) {
	out := look(t, "url", asked(t, func(c net.Conn) {
		io.WriteString(c, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"+head+"Content-Length: 2\r\n\r\nok")
	}), "body_match", "^ok$")
	if out.Status != muster.StatusOK {
		t.Errorf("%+v", out)
	}
}

// TestStrangeBytesBecomeText makes sure that evidence can be shown.
func TestStrangeBytesBecomeText(t *testing.T) {
	out := look(t, "url", asked(t, func(c net.Conn) {
		io.WriteString(c, "HTTP/1.1 500 Oh\xff\x1b[31m no\r\nServer: a\x80b\r\n\r\nbody\x00\xfe")
	}))
	if out.Class != check.ClassStatus && out.Class != check.ClassProtocol {
		t.Errorf("%+v", out)
	}
	for key, value := range out.Evidence {
		if !utf8.ValidString(value) || strings.ContainsAny(value, "\x00\x1b") {
			t.Errorf("%s is %q", key, value)
		}
	}
}
