package incident_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"muster"
	"muster/internal/incident"
)

var ten = time.Date(2026, 3, 14, 10, 0, 0, 0, time.UTC)

func node() incident.Subject { return subjectOf("subject", "db-1") }

// story draws the transitions of one incident: of each series they fire and recover in turn, at rising
// times, and something is open until the last at the earliest.
func story(t *rapid.T, most int) (out []muster.Transition) {
	s := node()
	series := rapid.IntRange(1, 20).Draw(t, "series")
	open := map[int]bool{}
	for i := range rapid.IntRange(1, most).Draw(t, "steps") {
		if i > 0 && len(open) == 0 {
			return out
		}
		n := rapid.IntRange(0, series-1).Draw(t, "which")
		verb := "fires"
		if open[n] {
			verb = "recovers"
			delete(open, n)
		} else {
			open[n] = true
		}
		level := rapid.SampledFrom([]string{"warning", "critical"}).Draw(t, "level")
		out = append(out, transitionOf(s, ten.Add(time.Duration(i)*time.Second), verb, fmt.Sprintf("| Alarm %d | series %d | %s", n%3, n, level)))
	}
	return out
}

func fold(in *muster.Incident, story []muster.Transition) *muster.Incident {
	for _, t := range story {
		in, _ = incident.Fold(in, node(), t)
	}
	return in
}

func TestReplayChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		story := story(t, 130)
		in := fold(nil, story)
		prefix := story[:rapid.IntRange(0, len(story)).Draw(t, "prefix")]
		if again := fold(in, prefix); again != in {
			t.Fatalf("%d of %d transitions once more made\n%s\nof\n%s", len(prefix), len(story), incident.Encode(again), incident.Encode(in))
		}
		twice := fold(nil, prefix)
		for _, tr := range story {
			twice, _ = incident.Fold(twice, node(), tr)
			twice, _ = incident.Fold(twice, node(), tr)
		}
		if !bytes.Equal(incident.Encode(twice), incident.Encode(in)) {
			t.Fatalf("a crash after %d transitions made\n%s\nof\n%s", len(prefix), incident.Encode(twice), incident.Encode(in))
		}
	})
}

// TestOpenIsWhatFires compares the fold with a set.
func TestOpenIsWhatFires(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var in *muster.Incident
		fires := map[string]bool{}
		var seq uint64
		for _, tr := range story(t, 80) {
			before := in
			var kept []byte
			if before != nil {
				kept = incident.Encode(before)
			}
			next, change := incident.Fold(in, node(), tr)
			if change == nil {
				t.Fatal("news was taken for none")
			}
			if before != nil && !bytes.Equal(kept, incident.Encode(before)) {
				t.Fatal("the incident that was handed in was changed")
			}
			in, seq = next, seq+1
			if tr.To == muster.AlarmFiring {
				fires[tr.Series] = true
			} else {
				delete(fires, tr.Series)
			}
			if in.Seq != seq || len(in.Open) != len(fires) {
				t.Fatalf("seq %d and %d open, want %d and %d", in.Seq, len(in.Open), seq, len(fires))
			}
			for _, f := range in.Open {
				if !fires[f.Series] {
					t.Fatalf("%s does not fire", f.Series)
				}
			}
			if len(in.Transitions)+in.Cut != int(seq) {
				t.Fatalf("%d in the timeline and %d cut, want %d", len(in.Transitions), in.Cut, seq)
			}
		}
	})
}

// TestSilenceEndsByAnEarlierMeasurement has the one closing that is older than what it closes.
func TestSilenceEndsByAnEarlierMeasurement(t *testing.T) {
	in := fold(nil, []muster.Transition{transitionOf(node(), ten, "fires", "| Node is silent |  | critical")})
	for i := range 60 { // and much was cut meanwhile
		in = fold(in, []muster.Transition{
			transitionOf(node(), ten.Add(time.Duration(2*i+1)*time.Second), "fires", "| Load |  | warning"),
			transitionOf(node(), ten.Add(time.Duration(2*i+2)*time.Second), "recovers", "| Load |  | warning"),
		})
	}
	after, change := incident.Fold(in, node(), transitionOf(node(), ten.Add(-time.Second), "recovers", "| Node is silent |  | critical"))
	if change == nil || change.Kind != muster.IncidentClosed {
		t.Fatalf("it did not end: %+v", change)
	}
	if after.ResolvedAt.Before(after.OpenedAt) {
		t.Errorf("resolved at %s, opened at %s", after.ResolvedAt, after.OpenedAt)
	}
}

func TestTextsAreCut(t *testing.T) {
	long := strings.Repeat("ä", 5000)
	tr := transitionOf(node(), ten.Add(1234567), "fires", "| Load |  | critical")
	tr.Name, tr.Series, tr.Why = long, long, long+"\xff"
	for range 20 {
		tr.Inputs = append(tr.Inputs, muster.Input{At: ten, Value: math.Inf(1), Text: long})
	}
	s := node()
	s.Name = long
	in, change := incident.Fold(nil, s, tr)
	got := change.Transition
	if len(got.Inputs) != muster.MaxInputs || !math.IsNaN(got.Inputs[0].Value) || len(tr.Inputs[0].Text) > 5000*2 {
		t.Errorf("inputs were kept as %+v", got.Inputs)
	}
	for what, text := range map[string]string{"why": got.Why, "name": got.Name, "series": got.Series, "title": in.Title, "subject": in.Name, "input": got.Inputs[0].Text} {
		if len(text) > 400 || !utf8.ValidString(text) || !strings.HasSuffix(text, "…") {
			t.Errorf("the %s was kept as %d bytes, %q", what, len(text), text)
		}
	}
	if !in.OpenedAt.Equal(ten.Add(time.Millisecond)) {
		t.Errorf("opened at %s", in.OpenedAt)
	}
}

// TestSizeIsBounded feeds what is as big as it may be, and as awkward for JSON.
func TestSizeIsBounded(t *testing.T) {
	const n = 1000
	awkward := strings.Repeat("\x01\"\u2028", 200)
	var in *muster.Incident
	for i := range n {
		tr := transitionOf(node(), ten.Add(time.Duration(i)*time.Second), "fires", fmt.Sprintf("| Alarm %d | series %d | critical", i, i))
		tr.Why, tr.Inputs = awkward, nil
		for range muster.MaxInputs {
			tr.Inputs = append(tr.Inputs, muster.Input{At: ten, Value: 1, Text: awkward})
		}
		in, _ = incident.Fold(in, node(), tr)
		if i < 60 {
			in, _, _ = incident.Comment(in, muster.Comment{At: tr.At, By: "user_1", Text: strings.Repeat("\"", incident.MaxComment)})
		}
		if i%50 > 5 {
			continue
		}
		if size := len(incident.Encode(in)); size > incident.MaxSize {
			t.Fatalf("%d bytes after %d alarms, at most %d are wanted", size, i, incident.MaxSize)
		}
	}
	if len(in.Open) < 300 || len(in.Open) == n || in.State != muster.IncidentOpen || len(in.Transitions) == 0 {
		t.Errorf("%s with %d open and a timeline of %d", in.State, len(in.Open), len(in.Transitions))
	}
	if last := in.Transitions[len(in.Transitions)-1]; last.Name != fmt.Sprintf("Alarm %d", n-1) || last.Inputs == nil {
		t.Errorf("the newest transition is that of %s, with %d inputs", last.Name, len(last.Inputs))
	}
}

func TestComments(t *testing.T) {
	in := fold(nil, []muster.Transition{transitionOf(node(), ten, "fires", "| Load |  | critical")})
	for i := range muster.MaxTimeline + 5 {
		var err error
		if in, _, err = incident.Comment(in, muster.Comment{At: ten.Add(time.Duration(i) * time.Minute), By: "link", Text: fmt.Sprint("<b>\x00 ", i, "\r\nmore")}); err != nil {
			t.Fatal(err)
		}
	}
	if len(in.Comments) != muster.MaxTimeline || in.Cut != 5 || in.Comments[0].Text != "<b> 5\nmore" {
		t.Errorf("%d comments, %d cut, the first is %q", len(in.Comments), in.Cut, in.Comments[0].Text)
	}
	if _, change, err := incident.Comment(in, muster.Comment{At: ten, By: "link", Text: "<b> 0\nmore"}); change != nil || err != nil {
		t.Error("a comment that was cut was taken again", err)
	}
	for _, text := range []string{"", " \n ", "\x00", strings.Repeat("x", incident.MaxComment+1)} {
		if _, change, err := incident.Comment(in, muster.Comment{At: ten, Text: text}); !errors.Is(err, muster.ErrInvalid) || change != nil {
			t.Errorf("%.10q: %v", text, err)
		}
	}
}

// full has every field set.
func full() (*muster.Incident, *muster.IncidentChange) {
	s := incident.Subject{Account: muster.AccountID{1: 7}, Name: "shop <1>", ID: muster.NodeID{2: 9}}
	s.Check = muster.CheckOf(s.ID)
	first := transitionOf(s, ten, "fires", "| Check fails | shop <1> | warning @"+string(s.Check))
	first.ID, first.Alarm = "5f1c9a", "alarm_00000000000000000000000001"
	first.Inputs = []muster.Input{{At: ten, Value: 2, Text: "HTTP 502 in 12 ms"}, {At: ten.Add(time.Minute), Value: math.NaN()}}
	first.Channels = []muster.ChannelID{"channel_00000000000000000000000001"}
	second := transitionOf(s, ten.Add(time.Second), "fires", "| Slow | shop <1> | critical @"+string(s.Check))
	second.ID, second.Alarm = "77aa01", "alarm_00000000000000000000000002"
	in, _ := incident.Fold(nil, s, first)
	in, change := incident.Fold(in, s, second)
	in, _, _ = incident.Acknowledge(in, "user_1", ten.Add(time.Minute))
	in, _, _ = incident.Comment(in, muster.Comment{At: ten.Add(2 * time.Minute), By: "user_1", Name: "Ann", Text: "On it.\nIt is the disk."})
	in.Cut = 3
	return in, change
}

func TestGolden(t *testing.T) {
	bare, change := full()
	owned := fold(nil, []muster.Transition{transitionOf(node(), ten, "fires", "| Load is high |  | warning")})
	owned, closed := incident.Resolve(owned, "user_1", ten.Add(time.Hour))
	var got bytes.Buffer
	for _, b := range [][]byte{incident.Encode(bare), incident.EncodeChange(change), incident.Encode(owned), incident.EncodeChange(closed)} {
		got.Write(append(b, '\n'))
	}
	const path = "testdata/bodies.golden"
	if *rewrite {
		if err := os.WriteFile(path, got.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("what is written is not what was: %s", difference(got.String(), string(want)))
	}
	lines := bytes.Split(want, []byte("\n"))
	for i, in := range []*muster.Incident{bare, nil, owned} {
		if in == nil {
			continue
		}
		back, err := incident.Decode(lines[i])
		if err != nil || !reflect.DeepEqual(numbered(back), numbered(in)) {
			t.Errorf("read back as\n%+v\nwant\n%+v (%v)", back, in, err)
		}
	}
	back, err := incident.DecodeChange(lines[1])
	if err != nil || !reflect.DeepEqual(back, change) {
		t.Errorf("read back as\n%+v\nwant\n%+v (%v)", back, change, err)
	}
}

// numbered puts a number in place of NaN, which is not equal to itself.
func numbered(in *muster.Incident) *muster.Incident {
	out := *in
	out.Transitions = nil
	for _, t := range in.Transitions {
		t.Inputs = append([]muster.Input(nil), t.Inputs...)
		for i := range t.Inputs {
			if math.IsNaN(t.Inputs[i].Value) {
				t.Inputs[i].Value = -1
			}
		}
		out.Transitions = append(out.Transitions, t)
	}
	return &out
}

func TestDecodeRefuses(t *testing.T) {
	in, _ := full()
	good := string(incident.Encode(in))
	for _, c := range []struct{ from, to string }{
		{`"id":"incident_`, `"id":"","x":"`}, {`"state":"acknowledged"`, `"state":""`}, {`"account":"account_`, `"account":"node_`},
		{`"subject":"check_`, `"subject":"chuck_`}, {`"opened_at":"2026`, `"opened_at":"26`}, {`"seq":`, `"seq":-`}, {`{`, `[`},
		{`"updated_at":"2026-03-14T10:02:00.000Z"`, `"updated_at":"9999-12-31T23:59:59-01:00"`},
	} {
		if !strings.Contains(good, c.from) {
			t.Fatalf("%s is not in %s", c.from, good)
		}
		if _, err := incident.Decode([]byte(strings.Replace(good, c.from, c.to, 1))); !errors.Is(err, muster.ErrInvalid) {
			t.Errorf("%s: %v", c.to, err)
		}
	}
	for _, bad := range []string{"", "{}", "null", `{"kind":"opened","transition":{"subject":"node_1"}}`, `{"kind":1}`} {
		if _, err := incident.DecodeChange([]byte(bad)); !errors.Is(err, muster.ErrInvalid) {
			t.Errorf("%q as a change: %v", bad, err)
		}
	}
	more := strings.Replace(good, `"state"`, `"later":{"x":[1]},"state"`, 1)
	if back, err := incident.Decode([]byte(more)); err != nil || !bytes.Equal(incident.Encode(back), []byte(good)) {
		t.Errorf("a field of a later version: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	in, change := full()
	f.Add(incident.Encode(in))
	f.Add(incident.EncodeChange(change))
	f.Fuzz(func(t *testing.T, b []byte) {
		if in, err := incident.Decode(b); err == nil {
			text := incident.Encode(in)
			back, err := incident.Decode(text)
			if err != nil || !bytes.Equal(incident.Encode(back), text) {
				t.Fatalf("%q became %q: %v", b, text, err)
			}
			fold(in, []muster.Transition{transitionOf(node(), ten, "fires", "| Load |  | warning"), transitionOf(node(), ten, "recovers", "| Load |  | warning")})
			incident.Resolve(in, "link", ten)
			_ = incident.Title(in)
		} else if !errors.Is(err, muster.ErrInvalid) {
			t.Fatal(err)
		}
		if change, err := incident.DecodeChange(b); err == nil {
			text := incident.EncodeChange(change)
			back, err := incident.DecodeChange(text)
			if err != nil || !bytes.Equal(incident.EncodeChange(back), text) {
				t.Fatalf("%q became %q: %v", b, text, err)
			}
		}
	})
}

func BenchmarkFold(b *testing.B) {
	fires := transitionOf(node(), ten, "fires", "| Load is high | cpu=1 | warning")
	recovers := transitionOf(node(), ten.Add(time.Minute), "recovers", "| Load is high | cpu=1 | warning")
	for b.Loop() {
		in, _ := incident.Fold(nil, node(), fires)
		in, _ = incident.Fold(in, node(), recovers)
		incident.Encode(in)
	}
}
