package wire_test

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"muster"
	"muster/internal/wire"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

func sequence(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i + 1)
	}
	return b
}

// examples has one of each message, all fields set.
func examples() map[string]wire.Message {
	key := ed25519.NewKeyFromSeed(sequence(32))
	hello := &wire.Hello{
		Token: "enrol_secret", Hostname: "web-1", Version: "1.2.3", Period: 10 * time.Second, BootID: "boot",
		Facts: map[string]string{"os.type": "linux", "host.arch": "arm64"}, Addresses: []string{"192.0.2.1", "2001:db8::1"},
	}
	hello.Sign(key, sequence(wire.NonceSize))
	return map[string]wire.Message{
		"challenge": &wire.Challenge{Nonce: sequence(wire.NonceSize)},
		"hello":     hello,
		"welcome": &wire.Welcome{Node: muster.NodeID(sequence(16)), Account: "main", ServerTime: 1790000000123,
			Endpoints: []string{"https://a.example", "https://b.example"}, Period: time.Minute},
		"refusal": &wire.Refusal{Code: wire.RefusalToken, Reason: "The token was used up.", Permanent: true, RetryAfter: 5 * time.Second},
		"schema": &wire.SchemaDef{Number: 7, Metrics: []muster.Metric{
			{Name: "system.cpu.time", Unit: "s", Kind: muster.Counter, Attrs: []muster.Attr{{Key: "cpu.mode", Value: "user"}}},
			{Name: "system.uptime", Unit: "s", Kind: muster.Gauge},
		}},
		"frames": &wire.Frames{Frames: []wire.Frame{
			{Source: muster.HostSource, Schema: 7, At: 1790000000000, Values: []float64{0.5, 1234567}, Note: []byte(`{"s":"HTTP 200"}`)},
			{Source: "container:db", Schema: 300, At: 1790000010000, Values: []float64{-1}},
		}},
		"ack":     &wire.Ack{Through: 300, Refused: []wire.Refused{{Seq: 299, Index: 1, Reason: "older than 48 h"}}, Dropped: 95000},
		"order":   &wire.Order{Period: time.Second, For: 30 * time.Second},
		"facts":   &wire.Facts{Facts: map[string]string{"os.version": "13"}, Addresses: []string{"198.51.100.7"}},
		"goodbye": &wire.Goodbye{Reason: muster.FarewellShutdown},
		"assign": &wire.Assign{
			Add:    []wire.Assignment{assignment(), {Check: "check_01k5p0000000000000000000zz", Kind: "tcp", Period: time.Minute, Timeout: time.Second}},
			Remove: []muster.CheckID{"check_01k5p0000000000000000000aa"}, Replace: true, More: true,
		},
		"run": &wire.Run{Request: 77, Assignment: assignment()},
		"ran": &wire.Ran{
			Request: 77, Status: muster.StatusCritical, Summary: "HTTP 500 in 12 ms", Duration: 12345 * time.Microsecond, Class: "status",
			Error: "500 is not among 200-299", Evidence: map[string]string{"http.header.server": "nginx", "a": ""},
			Readings: []wire.Reading{
				{Metric: muster.Metric{Name: "http.duration", Unit: "s", Kind: muster.Gauge, Attrs: []muster.Attr{{Key: "k", Value: "v"}}}, Value: 0.012},
				{Metric: muster.Metric{Name: "http.response.status_code", Unit: "1", Kind: muster.Gauge}},
			},
		},
	}
}

func assignment() wire.Assignment {
	return wire.Assignment{
		Check: "check_01k5p0000000000000000000xy", Kind: "http", Config: []byte(`{"url":"https://example.org/"}`), Zone: "local",
		Period: 10 * time.Second, Timeout: 2500 * time.Millisecond,
	}
}

func TestEveryMessageComesBackAsItWas(t *testing.T) {
	for name, want := range examples() {
		prefix := []byte("kept")
		b := wire.Marshal(prefix, 300, 1790000000456, want)
		if !strings.HasPrefix(string(b), "kept") {
			t.Fatalf("%s: what was in the slice is gone", name)
		}
		env, err := wire.ParseEnvelope(b[4:])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if env.Capability != wire.Capability || env.Kind != want.Kind() || env.Seq != 300 || env.SentAt != 1790000000456 {
			t.Errorf("%s: envelope %+v", name, env)
		}
		got, err := wire.Parse(env)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, want)
		}
	}
}

func TestBytesAreThoseOfTheGoldenFiles(t *testing.T) {
	for name, message := range examples() {
		file := filepath.Join("testdata", name+".hex")
		got := hex.Dump(wire.Marshal(nil, 3, 1790000000456, message))
		if *rewrite {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s: agents and servers of other versions read these bytes; got\n%swant\n%s", name, got, want)
		}
	}
}

// What a program of capability 1 wrote is read as it was meant.
func TestBytesOfCapabilityOneAreStillRead(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "v1", "*.hex"))
	if err != nil || len(files) != 10 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	now := examples()
	now["frames"].(*wire.Frames).Frames[0].Note = nil
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".hex")
		env, err := wire.ParseEnvelope(undump(t, file))
		if err != nil || env.Capability != 1 {
			t.Fatalf("%s: %+v, %v", name, env, err)
		}
		if got, err := wire.Parse(env); err != nil || !reflect.DeepEqual(got, now[name]) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

// undump reads the bytes of a file that hex.Dump wrote.
func undump(t *testing.T, file string) (out []byte) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		digits, _, _ := strings.Cut(line[8:], "|")
		b, err := hex.DecodeString(strings.Join(strings.Fields(digits), ""))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b...)
	}
	return out
}

func TestWhatIsReadOwesNothingToTheBytes(t *testing.T) {
	for _, name := range []string{"frames", "assign", "run", "ran"} {
		want := examples()[name]
		b := wire.Marshal(nil, 1, 1, want)
		env, err := wire.ParseEnvelope(b)
		if err != nil {
			t.Fatal(err)
		}
		got, err := wire.Parse(env)
		if err != nil {
			t.Fatal(err)
		}
		for i := range b {
			b[i] = 0xee
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s changed with the buffer it was read from: %+v", name, got)
		}
	}
}

func TestAnAssignmentSaysWhetherTheWireBearsIt(t *testing.T) {
	good := assignment()
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*wire.Assignment){
		"id":     func(a *wire.Assignment) { a.Check = "" },
		"kind":   func(a *wire.Assignment) { a.Kind = strings.Repeat("x", wire.MaxText+1) },
		"zone":   func(a *wire.Assignment) { a.Zone = strings.Repeat("x", wire.MaxZone+1) },
		"config": func(a *wire.Assignment) { a.Config = make([]byte, wire.MaxConfig+1) },
	} {
		bad := assignment()
		change(&bad)
		if err := bad.Validate(); !errors.Is(err, muster.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
		env, _ := wire.ParseEnvelope(wire.Marshal(nil, 1, 1, &wire.Run{Request: 1, Assignment: bad}))
		if _, err := wire.Parse(env); err == nil {
			t.Errorf("%s: it is read all the same", name)
		}
	}
	longest := muster.Check{ID: muster.NewCheckID()}
	if n := len(longest.Source(strings.Repeat("z", wire.MaxZone))); n > muster.MaxSource {
		t.Errorf("the source of a check in the longest zone has %d bytes", n)
	}
}

func TestNaNMeansNoValueAndSurvives(t *testing.T) {
	b := wire.Marshal(nil, 1, 1, &wire.Frames{Frames: []wire.Frame{{Values: []float64{1, math.NaN(), math.Inf(1)}}}})
	env, err := wire.ParseEnvelope(b)
	if err != nil {
		t.Fatal(err)
	}
	frames, err := wire.ParseFrames(env.Body)
	if err != nil {
		t.Fatal(err)
	}
	v := frames.Frames[0].Values
	if len(v) != 3 || v[0] != 1 || !math.IsNaN(v[1]) || !math.IsInf(v[2], 1) {
		t.Errorf("got %v", v)
	}
}

func TestUnknownKindsAndFieldsAreSkipped(t *testing.T) {
	strange := []byte{0xfa, 0x07, 3, 'n', 'e', 'w', 0xf1, 0x07, 1, 2, 3, 4, 5, 6, 7, 8} // fields 127 and 126
	for name, want := range examples() {
		env, err := wire.ParseEnvelope(append(wire.Marshal(nil, 1, 1, want), strange...))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		env.Body = append(append([]byte(nil), strange...), env.Body...)
		got, err := wire.Parse(env)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v", name, got)
		}
	}
	if m, err := wire.Parse(wire.Envelope{Kind: 99, Body: []byte{0xff}}); m != nil || err != nil {
		t.Errorf("a kind of a newer version: got %v, %v", m, err)
	}
}

func TestHelloIsBoundToKeyAndNonce(t *testing.T) {
	hello := examples()["hello"].(*wire.Hello)
	nonce := sequence(wire.NonceSize)
	if err := hello.Verify(nonce); err != nil {
		t.Fatal(err)
	}
	other := *hello
	other.Key = ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey)
	if err := other.Verify(nonce); !errors.Is(err, muster.ErrDenied) {
		t.Errorf("another key: %v", err)
	}
	nonce[0]++
	if err := hello.Verify(nonce); !errors.Is(err, muster.ErrDenied) {
		t.Errorf("another nonce: %v", err)
	}
	if err := (&wire.Hello{}).Verify(nonce); !errors.Is(err, muster.ErrDenied) {
		t.Errorf("no key at all: %v", err)
	}
}

func TestTooManyMetricsAreCutAndCounted(t *testing.T) {
	const many = muster.MaxMetrics + 7
	def := &wire.SchemaDef{Number: 1}
	for range many {
		def.Metrics = append(def.Metrics, muster.Metric{Name: "m", Kind: muster.Gauge})
	}
	env, _ := wire.ParseEnvelope(wire.Marshal(nil, 1, 1, def))
	got, err := wire.ParseSchemaDef(env.Body)
	if err != nil || len(got.Metrics) != muster.MaxMetrics || got.Dropped != 7 {
		t.Fatalf("got %d metrics, %d dropped, %v", len(got.Metrics), got.Dropped, err)
	}
	env, _ = wire.ParseEnvelope(wire.Marshal(nil, 1, 1, &wire.Frames{Frames: []wire.Frame{{Values: make([]float64, many)}}}))
	frames, err := wire.ParseFrames(env.Body)
	if err != nil || len(frames.Frames[0].Values) != muster.MaxMetrics {
		t.Fatalf("got %v", err)
	}
}

func TestWhatBreaksALimitIsRefused(t *testing.T) {
	long := strings.Repeat("x", wire.MaxText+1)
	facts := map[string]string{}
	for i := range wire.MaxFacts + 1 {
		facts[strings.Repeat("k", i%100+1)+string(rune('a'+i/100))] = "v"
	}
	for name, m := range map[string]wire.Message{
		"nonce":      &wire.Challenge{Nonce: sequence(wire.NonceSize + 1)},
		"no nonce":   &wire.Challenge{},
		"hostname":   &wire.Hello{Hostname: long},
		"facts":      &wire.Hello{Facts: facts},
		"fact":       &wire.Facts{Facts: map[string]string{"a": strings.Repeat("x", wire.MaxFactValue+1)}},
		"addresses":  &wire.Facts{Addresses: make([]string, wire.MaxAddresses+1)},
		"text":       &wire.Goodbye{Reason: "\xff\xfe"},
		"metric":     &wire.SchemaDef{Metrics: []muster.Metric{{Name: strings.Repeat("x", muster.MaxMetricName+1), Kind: 1}}},
		"kind":       &wire.SchemaDef{Metrics: []muster.Metric{{Name: "m", Kind: 9}}},
		"attributes": &wire.SchemaDef{Metrics: []muster.Metric{{Name: "m", Kind: 1, Attrs: make([]muster.Attr, muster.MaxAttrs+1)}}},
		"frames":     &wire.Frames{Frames: make([]wire.Frame, wire.MaxFrames+1)},
		"source":     &wire.Frames{Frames: []wire.Frame{{Source: strings.Repeat("x", muster.MaxSource+1)}}},
		"duration":   &wire.Order{Period: 10000 * time.Hour},
		"note":       &wire.Frames{Frames: []wire.Frame{{Note: make([]byte, muster.MaxNote+1)}}},
		"checks":     &wire.Assign{Add: slices.Repeat([]wire.Assignment{assignment()}, wire.MaxAssigned+1)},
		"removed":    &wire.Assign{Remove: make([]muster.CheckID, wire.MaxAssigned+1)},
		"no check":   &wire.Run{Request: 1},
		"no request": &wire.Run{Assignment: assignment()},
		"no answer":  &wire.Ran{},
		"summary":    &wire.Ran{Request: 1, Summary: strings.Repeat("x", wire.MaxWords+1)},
		"evidence":   &wire.Ran{Request: 1, Evidence: facts},
		"readings":   &wire.Ran{Request: 1, Readings: make([]wire.Reading, wire.MaxReadings+1)},
	} {
		env, err := wire.ParseEnvelope(wire.Marshal(nil, 1, 1, m))
		if err == nil {
			_, err = wire.Parse(env)
		}
		if !errors.Is(err, muster.ErrInvalid) && !errors.Is(err, muster.ErrLimited) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := wire.ParseEnvelope(make([]byte, wire.MaxMessage+1)); !errors.Is(err, muster.ErrLimited) {
		t.Errorf("a message over the limit: %v", err)
	}
	if _, err := wire.ParseWelcome(nil); !errors.Is(err, muster.ErrInvalid) {
		t.Errorf("a welcome without a node: %v", err)
	}
	if _, err := wire.ParseEnvelope(nil); !errors.Is(err, muster.ErrInvalid) {
		t.Errorf("an empty message: %v", err)
	}
}

func TestTruncatedMessagesAreRefusedOrShorter(t *testing.T) {
	for name, m := range examples() {
		b := wire.Marshal(nil, 1, 1, m)
		for n := range b {
			env, err := wire.ParseEnvelope(b[:n])
			if err != nil {
				continue
			}
			if got, err := wire.Parse(env); err == nil && reflect.DeepEqual(got, m) {
				t.Errorf("%s: cut to %d of %d bytes it is still whole", name, n, len(b))
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, m := range examples() {
		f.Add(wire.Marshal(nil, 3, 1790000000456, m))
	}
	f.Add([]byte{0x10, 0x06, 0x2a, 0x02, 0x0a, 0x00})
	f.Fuzz(func(t *testing.T, b []byte) {
		env, err := wire.ParseEnvelope(b)
		if err != nil {
			return
		}
		m, err := wire.Parse(env)
		if err != nil || m == nil {
			if m != nil {
				t.Fatal("a message and an error")
			}
			return
		}
		if def, ok := m.(*wire.SchemaDef); ok {
			def.Dropped = 0
		}
		// What was understood is written in one way only, and read back the same.
		again := wire.Marshal(nil, env.Seq, env.SentAt, m)
		env2, err := wire.ParseEnvelope(again)
		if err != nil {
			t.Fatal(err)
		}
		m2, err := wire.Parse(env2)
		if err != nil {
			t.Fatal(err)
		}
		if third := wire.Marshal(nil, env.Seq, env.SentAt, m2); string(third) != string(again) {
			t.Fatalf("read back it is another:\n%x\n%x", again, third)
		}
	})
}

func BenchmarkParseFrames(b *testing.B) {
	frames := &wire.Frames{}
	for range 10 {
		frames.Frames = append(frames.Frames, wire.Frame{Source: muster.HostSource, Schema: 1, At: 1790000000000, Values: make([]float64, 100)})
	}
	env, _ := wire.ParseEnvelope(wire.Marshal(nil, 1, 1, frames))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := wire.ParseFrames(env.Body); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds()/1e6, "Msamples/s")
}
