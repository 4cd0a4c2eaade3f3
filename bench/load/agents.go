package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	mrand "math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"muster"
	"muster/internal/wire"
)

// startAgents enrols and connects all agents and returns when the last one was welcomed.
func startAgents(ctx context.Context, o options, m *meter) (wait func(), err error) {
	token, err := enrollment(ctx, o)
	if err != nil {
		return nil, err
	}
	var running, welcomed sync.WaitGroup
	schema := &wire.SchemaDef{Number: 1, Metrics: describe(o.metrics)}
	pause := time.NewTicker(time.Second / time.Duration(max(1, o.ramp)))
	defer pause.Stop()
	for i := range o.agents {
		select {
		case <-ctx.Done():
			return running.Wait, ctx.Err()
		case <-pause.C:
		}
		welcomed.Add(1)
		a := &agent{number: i, o: o, meter: m, token: token, schema: schema, host: newHost(uint64(i), o.metrics)}
		a.welcomed = sync.OnceFunc(welcomed.Done)
		running.Go(func() {
			defer a.welcomed()
			if err := a.run(ctx); err != nil && ctx.Err() == nil {
				m.failed(fmt.Errorf("agent %d: %w", i, err))
			}
		})
	}
	welcomed.Wait()
	return running.Wait, ctx.Err()
}

// enrollment makes one enrolment for all agents.
func enrollment(ctx context.Context, o options) (token string, err error) {
	body, _ := json.Marshal(map[string]any{"uses": o.agents, "ttl": "1h"})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(o.server, "/")+"/v1/enrollments", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+o.token)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var answer struct{ Token, Detail string }
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || res.StatusCode != http.StatusCreated {
		return "", fmt.Errorf("make an enrolment: %s %s %v", res.Status, answer.Detail, err)
	}
	return answer.Token, nil
}

// agent is one simulated machine.
type agent struct {
	number   int
	o        options
	meter    *meter
	token    string
	schema   *wire.SchemaDef
	host     *host
	welcomed func()

	conn *websocket.Conn
	seq  uint64
	buf  []byte

	mu   sync.Mutex
	sent map[uint64]time.Time // frames without acknowledgement
}

func (a *agent) run(ctx context.Context) error {
	conn, _, err := websocket.Dial(ctx, strings.Replace(strings.TrimRight(a.o.server, "/"), "http", "ws", 1)+wire.Path,
		&websocket.DialOptions{Subprotocols: []string{wire.Subprotocol}, CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return err
	}
	defer conn.CloseNow()
	conn.SetReadLimit(wire.MaxGreeting)
	a.conn, a.sent = conn, map[uint64]time.Time{}
	if err := a.greet(ctx); err != nil {
		return err
	}
	a.welcomed()
	fault := make(chan error, 1)
	go func() { fault <- a.listen(ctx) }()
	if err := a.send(ctx, a.schema); err != nil {
		return err
	}
	// The first frame comes at a random part of the period, as agents that were started by hand do.
	timer := time.NewTimer(mrand.N(a.o.period))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-fault:
			return err
		case <-timer.C:
			timer.Reset(a.o.period)
			if err := a.frame(ctx); err != nil {
				return err
			}
		}
	}
}

func (a *agent) frame(ctx context.Context) error {
	frame := wire.Frame{Source: muster.HostSource, Schema: 1, At: time.Now().UnixMilli(), Values: a.host.next()}
	a.mu.Lock()
	a.sent[a.seq+1] = time.Now()
	a.mu.Unlock()
	return a.send(ctx, &wire.Frames{Frames: []wire.Frame{frame}})
}

func (a *agent) send(ctx context.Context, m wire.Message) error {
	a.seq++
	a.buf = wire.Marshal(a.buf[:0], a.seq, time.Now().UnixMilli(), m)
	return a.conn.Write(ctx, websocket.MessageBinary, a.buf)
}

// greet answers the challenge and waits for the welcome.
func (a *agent) greet(ctx context.Context) error {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	first, err := a.receive(ctx)
	if err != nil {
		return err
	}
	challenge, ok := first.(*wire.Challenge)
	if !ok {
		return fmt.Errorf("the server began with %T", first)
	}
	hello := &wire.Hello{Token: a.token, Hostname: fmt.Sprintf("load-%05d", a.number), Version: "load", Period: a.o.period,
		Facts: map[string]string{"os.type": "linux"}}
	hello.Sign(key, challenge.Nonce)
	if err := a.send(ctx, hello); err != nil {
		return err
	}
	answer, err := a.receive(ctx)
	if err != nil {
		return err
	}
	if refusal, ok := answer.(*wire.Refusal); ok {
		return fmt.Errorf("refused: %s: %s", refusal.Code, refusal.Reason)
	}
	if _, ok := answer.(*wire.Welcome); !ok {
		return fmt.Errorf("instead of a welcome came %T", answer)
	}
	return nil
}

func (a *agent) receive(ctx context.Context) (wire.Message, error) {
	_, b, err := a.conn.Read(ctx)
	if err != nil {
		return nil, err
	}
	envelope, err := wire.ParseEnvelope(b)
	if err != nil {
		return nil, err
	}
	return wire.Parse(envelope)
}

// listen takes acknowledgements until the connection ends.
func (a *agent) listen(ctx context.Context) error {
	for {
		m, err := a.receive(ctx)
		if err != nil {
			return err
		}
		switch m := m.(type) {
		case *wire.Ack:
			a.acked(m)
		case *wire.Refusal:
			return fmt.Errorf("refused: %s: %s", m.Code, m.Reason)
		}
	}
}

func (a *agent) acked(ack *wire.Ack) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for seq, at := range a.sent {
		if seq <= ack.Through {
			a.meter.acked(a.o.metrics, time.Since(at))
			delete(a.sent, seq)
		}
	}
	if len(ack.Refused) > 0 {
		a.meter.refusedFrames(len(ack.Refused))
	}
}
