package gateway

import (
	"bufio"
	"bytes"
	"net"
	"net/http"

	"github.com/coder/websocket"

	"muster/internal/wire"
)

// Sizes of a connection's own buffers, in bytes. Agents send one message each few seconds: large buffers
// would lie idle, ten thousand times over. What is longer is read into shared ones.
const (
	readBuffer  = 512
	writeBuffer = 256
)

// accept upgrades the request. There is no compression: a compressor for each connection would cost more
// memory than all the rest, and values compress better in the store.
func (g *Gateway) accept(w http.ResponseWriter, r *http.Request) (*conn, error) {
	ws, err := websocket.Accept(&slim{ResponseWriter: w}, r, &websocket.AcceptOptions{
		Subprotocols:    []string{wire.Subprotocol},
		CompressionMode: websocket.CompressionDisabled,
		// Agents are no browsers: they have no cookies that a foreign page could use, and sign a nonce.
		InsecureSkipVerify: true,
	})
	if err != nil {
		return nil, err
	}
	ws.SetReadLimit(wire.MaxGreeting)
	c := newConn(g, ws, r.RemoteAddr)
	g.mu.Lock()
	g.all[c] = struct{}{}
	g.mu.Unlock()
	return c, nil
}

// slim hands the connection over with small buffers in place of the HTTP server's.
type slim struct {
	http.ResponseWriter
}

// Hijack takes the connection over from the HTTP server.
func (s *slim) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, rw, err := http.NewResponseController(s.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	// What came right behind the request is put into the small buffer, where the new owner looks for it.
	early, _ := rw.Reader.Peek(rw.Reader.Buffered())
	reader := bufio.NewReaderSize(bytes.NewReader(bytes.Clone(early)), max(readBuffer, len(early)))
	if _, err := reader.Peek(len(early)); err != nil {
		return nil, nil, err
	}
	return nc, bufio.NewReadWriter(reader, bufio.NewWriterSize(nc, writeBuffer)), nil
}
