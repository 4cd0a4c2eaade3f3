package uplink

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"

	"muster"
	"muster/internal/wire"
)

// client makes what dials: HTTP/1.1 only, since WebSockets need it.
func (u *Uplink) client() (*http.Client, *http.Transport) {
	transport := &http.Transport{
		Proxy: u.options.Proxy, DialContext: u.options.Dial, TLSHandshakeTimeout: dialPatience,
		TLSNextProto:    map[string]func(string, *tls.Conn) http.RoundTripper{},
		ReadBufferSize:  4 << 10,
		WriteBufferSize: 4 << 10,
	}
	if transport.DialContext == nil {
		transport.DialContext = (&net.Dialer{Timeout: dialPatience, KeepAlive: quietFor}).DialContext
	}
	if u.pin != nil {
		transport.TLSClientConfig = pinnedTLS(u.pin)
	}
	return &http.Client{Transport: transport}, transport
}

// dialError says in words what a failed handshake means.
func dialError(response *http.Response, err error) error {
	var unknown *tls.CertificateVerificationError
	switch {
	case errors.Is(err, errPin):
		return fmt.Errorf("%w: %w; if it was changed on purpose, start the agent with the new --pin", muster.ErrDenied, errPin)
	case errors.As(err, &unknown):
		return fmt.Errorf("%w: the server's certificate is not trusted (%w); for a self-signed one, give its fingerprint by --pin", muster.ErrDenied, unknown.Err)
	case response != nil && response.StatusCode != http.StatusSwitchingProtocols:
		return fmt.Errorf("%w: the server answered %s: is this the URL of a Muster server?", muster.ErrUnavailable, response.Status)
	}
	return fmt.Errorf("%w: %w", muster.ErrUnavailable, err)
}

// greet answers the challenge and gives the welcome.
func (s *session) greet(ctx context.Context) (*wire.Welcome, error) {
	s.conn.SetReadLimit(wire.MaxGreeting)
	message, err := s.receive(ctx)
	if err != nil {
		return nil, err
	}
	challenge, ok := message.(*wire.Challenge)
	if !ok {
		return nil, unexpected(message, wire.KindChallenge)
	}
	hello := s.uplink.options.Hello()
	if s.uplink.token {
		hello.Token = s.uplink.options.Token
	}
	hello.Sign(s.uplink.options.Identity.Key, challenge.Nonce)
	if err := s.send(ctx, &hello); err != nil {
		return nil, err
	}
	if message, err = s.receive(ctx); err != nil {
		return nil, err
	}
	welcome, ok := message.(*wire.Welcome)
	if !ok {
		return nil, unexpected(message, wire.KindWelcome)
	}
	s.conn.SetReadLimit(wire.MaxMessage)
	return welcome, nil
}

func unexpected(message wire.Message, want wire.Kind) error {
	if message == nil {
		return fmt.Errorf("%w: the server sent an unknown message where a %s should come", muster.ErrInvalid, want)
	}
	return fmt.Errorf("%w: the server sent a %s where a %s should come", muster.ErrInvalid, message.Kind(), want)
}

// welcomed keeps what the server said, and makes the spool begin again where this server needs it.
func (u *Uplink) welcomed(w *wire.Welcome, endpoint string) error {
	id := u.options.Identity
	first := id.Node != w.Node
	changed := first || id.Account != w.Account || id.Pin != u.options.Pin || !slices.Equal(id.Endpoints, w.Endpoints)
	id.Node, id.Account, id.Pin, id.Endpoints = w.Node, w.Account, u.options.Pin, w.Endpoints
	if changed {
		if err := id.Save(); err != nil {
			return err
		}
	}
	u.token = false
	if first {
		u.options.Logger.Info("The agent is enrolled.", "node", w.Node, "account", w.Account)
	}
	u.options.Logger.Info("The agent is connected.", "server", endpoint)
	u.options.Spool.Rewind(u.ackedBy != "" && u.ackedBy != endpoint)
	u.options.OnWelcome(w)
	return nil
}
