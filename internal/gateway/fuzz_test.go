package gateway_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"muster"
	"muster/internal/gateway"
	"muster/internal/wire"
)

// body gives the bytes of a message without its envelope.
func body(m wire.Message) []byte {
	e, _ := wire.ParseEnvelope(wire.Marshal(nil, 1, 1, m))
	return e.Body
}

// envelope wraps any bytes as the body of any kind.
func envelope(kind uint64, seq uint64, body []byte) []byte {
	var b []byte
	for num, v := range []uint64{1, kind, seq, uint64(time.Now().UnixMilli())} {
		b = protowire.AppendTag(b, protowire.Number(num+1), protowire.VarintType)
		b = protowire.AppendVarint(b, v)
	}
	b = protowire.AppendTag(b, 5, protowire.BytesType)
	return protowire.AppendBytes(b, body)
}

// FuzzMessages sends any bodies of any kinds on a connection that was let in. Whatever they are, the
// agent gets an acknowledgement for a goodbye sent after them, or a refusal and the end; and the next
// agent is served.
func FuzzMessages(f *testing.F) {
	now := time.Now().UnixMilli()
	f.Add(uint64(wire.KindSchemaDef), body(&wire.SchemaDef{Number: 1, Metrics: metrics(3)}), uint64(wire.KindFrames), body(frames(1, 3, now, now+1)))
	f.Add(uint64(wire.KindSchemaDef), body(&wire.SchemaDef{Number: 1, Metrics: append(metrics(3), metrics(1)...)}), uint64(wire.KindFrames), body(frames(1, 4, now)))
	f.Add(uint64(wire.KindFrames), body(frames(2, 3, now)), uint64(wire.KindFrames), body(frames(0, 0, 0, -1, 1<<62)))
	f.Add(uint64(wire.KindFacts), body(&wire.Facts{Facts: map[string]string{"a": "b"}}), uint64(wire.KindGoodbye), body(&wire.Goodbye{Reason: muster.FarewellStop}))
	f.Add(uint64(wire.KindRan), body(&wire.Ran{Request: 1, Status: muster.StatusOK}), uint64(wire.KindRun), body(&wire.Run{Request: 1, Assignment: wire.Assignment{Check: "c"}}))
	f.Add(uint64(99), []byte("future"), uint64(wire.KindHello), []byte{0xff})
	w := newWorld(f, gateway.Options{})
	f.Fuzz(func(t *testing.T, kind1 uint64, body1 []byte, kind2 uint64, body2 []byte) {
		w.t = t
		a := w.connect(newKey(), "good")
		defer a.ws.CloseNow()
		for _, m := range []struct {
			kind uint64
			body []byte
		}{{kind1, body1}, {kind2, body2}} {
			a.seq++
			a.raw(envelope(m.kind, a.seq, m.body))
		}
		a.send(&wire.Goodbye{})
		for {
			m, err := a.read()
			if err != nil {
				t.Fatalf("ended without a word: %v", err)
			}
			switch m := m.(type) {
			case *wire.Refusal:
				if m.Reason == "" || m.Code == "" {
					t.Errorf("refused without a reason: %+v", m)
				}
				return
			case *wire.Ack:
				if m.Through == a.seq {
					return
				}
			}
		}
	})
}
