package uplink_test

import (
	"encoding/hex"
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"muster"
	"muster/internal/uplink"
)

// manual is a clock that stands still until it is moved.
type manual struct{ at time.Time }

func (m *manual) now() time.Time { return m.at }

func openSpool(t *testing.T, o uplink.SpoolOptions) *uplink.Spool {
	t.Helper()
	s, err := uplink.OpenSpool(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func put(t *testing.T, s *uplink.Spool, from, to int64, metrics int) {
	t.Helper()
	for at := from; at < to; at++ {
		if err := s.Append(frame(at, metrics)); err != nil {
			t.Fatal(err)
		}
	}
}

// drain takes everything that was not given out yet.
func drain(s *uplink.Spool) (list []uplink.Frame) {
	for {
		next := s.Next(100, 1<<20)
		if len(next) == 0 {
			return list
		}
		list = append(list, next...)
	}
}

func times(list []uplink.Frame) (at []int64) {
	for _, f := range list {
		at = append(at, f.At)
	}
	return at
}

func TestSpoolGivesBackWhatWasPutIn(t *testing.T) {
	for name, dir := range map[string]string{"disk": t.TempDir(), "memory": ""} {
		t.Run(name, func(t *testing.T) {
			s := openSpool(t, uplink.SpoolOptions{Dir: dir})
			f := frame(5, 3)
			f.Source, f.Values[1], f.Note = "container:db", math.NaN(), []byte("in words")
			if err := s.Append(f); err != nil {
				t.Fatal(err)
			}
			put(t, s, 6, 2006, 4)
			list := drain(s)
			if len(list) != 2001 || list[0].Source != "container:db" || !math.IsNaN(list[0].Values[1]) || string(list[0].Note) != "in words" || list[1].Note != nil || list[0].Schema.ID != schemaOf(3).ID {
				t.Fatalf("got %d frames, the first %+v", len(list), list[0])
			}
			put(t, s, 2006, 2008, 4)
			if got := times(drain(s)); !slices.Equal(got, []int64{2006, 2007}) {
				t.Errorf("then %v", got)
			}
			s.Ack(list[1000])
			s.Rewind(false)
			if got := drain(s); got[0].At != list[1001].At || len(got) != 1002 {
				t.Errorf("after the rewind %d frames from %d on", len(got), got[0].At)
			}
			if p := s.Stats().Pending; p != 1002 {
				t.Errorf("%d pending", p)
			}
		})
	}
}

func TestSpoolRefusesAFrameThatDoesNotFitItsSchema(t *testing.T) {
	s := openSpool(t, uplink.SpoolOptions{})
	f := frame(1, 3)
	f.Values = f.Values[:2]
	if err := s.Append(f); !errors.Is(err, muster.ErrInvalid) {
		t.Errorf("got %v", err)
	}
	long := frame(1, 3)
	long.Note = make([]byte, muster.MaxNote+1)
	if err := s.Append(long); !errors.Is(err, muster.ErrInvalid) {
		t.Errorf("a note that no server takes: %v", err)
	}
	long.Note, long.Source = make([]byte, muster.MaxNote), strings.Repeat("x", muster.MaxSource+1)
	if err := s.Append(long); !errors.Is(err, muster.ErrInvalid) {
		t.Errorf("a source that no server takes: %v", err)
	}
	if n := s.Stats().Pending; n != 0 {
		t.Errorf("%d pending", n)
	}
}

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// goldenFrames are what the golden files hold.
func goldenFrames() (list []uplink.Frame) {
	for at := range int64(3) {
		f := frame(at, 2+int(at)%2)
		f.Values[1] = math.NaN()
		list = append(list, f)
	}
	return list
}

func TestSpoolFilesAreTheGoldenOnes(t *testing.T) {
	const name = "0000000000000000.spool"
	dir := t.TempDir()
	s := openSpool(t, uplink.SpoolOptions{Dir: dir})
	list := goldenFrames()
	list[1].Source, list[1].Note = "check_01k5p0000000000000000000xy", []byte(`{"s":"HTTP 200"}`)
	for _, f := range list {
		if err := s.Append(f); err != nil {
			t.Fatal(err)
		}
	}
	_ = s.Close()
	content, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", "spool.hex")
	if *rewrite {
		if err := os.WriteFile(file, []byte(hex.Dump(content)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if hex.Dump(content) != string(want) {
		t.Errorf("agents of other versions read these bytes; got\n%s", hex.Dump(content))
	}
}

// A spool that an agent without notes left is taken up whole.
func TestSpoolFilesOfAnOlderAgentAreRead(t *testing.T) {
	dump, err := os.ReadFile(filepath.Join("testdata", "spool-capability-1.hex"))
	if err != nil {
		t.Fatal(err)
	}
	var content []byte
	for line := range strings.Lines(string(dump)) {
		digits, _, _ := strings.Cut(line[8:], "|")
		b, err := hex.DecodeString(strings.Join(strings.Fields(digits), ""))
		if err != nil {
			t.Fatal(err)
		}
		content = append(content, b...)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "0000000000000000.spool"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	s := openSpool(t, uplink.SpoolOptions{Dir: dir})
	f := frame(3, 3)
	f.Note = []byte("new")
	if err := s.Append(f); err != nil {
		t.Fatal(err)
	}
	list := drain(s)
	if len(list) != 4 || string(list[3].Note) != "new" || s.Stats().Corrupt != 0 {
		t.Fatalf("got %+v", list)
	}
	for i, want := range goldenFrames() {
		got := list[i]
		if got.Source != want.Source || got.At != want.At || got.Schema.ID != want.Schema.ID || got.Note != nil ||
			got.Values[0] != want.Values[0] || !math.IsNaN(got.Values[1]) {
			t.Errorf("frame %d is %+v", i, got)
		}
	}
}

func TestSpoolKeepsItsSizeAndCountsWhatGoes(t *testing.T) {
	for name, dir := range map[string]string{"disk": t.TempDir(), "memory": ""} {
		t.Run(name, func(t *testing.T) {
			const size = 1 << 20
			s := openSpool(t, uplink.SpoolOptions{Dir: dir, MaxBytes: size})
			const frames = 3000 // of about 1.6 kB
			put(t, s, 0, frames, 200)
			st := s.Stats()
			if st.Bytes > size*9/8 || st.Bytes < size/2 {
				t.Errorf("%d bytes kept", st.Bytes)
			}
			list := drain(s)
			if st.Size+uint64(len(list)) != frames || st.Pending != uint64(len(list)) || st.Age != 0 {
				t.Errorf("%d frames are left of %d, stats %+v", len(list), frames, st)
			}
			if last := list[len(list)-1].At; last != frames-1 {
				t.Errorf("the newest is %d", last)
			}
		})
	}
}

func TestSpoolLetsOldFramesGo(t *testing.T) {
	clock := &manual{at: time.Unix(1790000000, 0)}
	s := openSpool(t, uplink.SpoolOptions{Dir: t.TempDir(), Now: clock.now})
	put(t, s, 0, 10, 3)
	clock.at = clock.at.Add(49 * time.Hour)
	put(t, s, 10, 12, 3)
	if got := times(drain(s)); !slices.Equal(got, []int64{10, 11}) {
		t.Errorf("got %v", got)
	}
	if st := s.Stats(); st.Age != 10 || st.Pending != 2 {
		t.Errorf("stats %+v", st)
	}
}

func TestSpoolKeepsAcknowledgedFramesForAWhile(t *testing.T) {
	clock := &manual{at: time.Unix(1790000000, 0)}
	s := openSpool(t, uplink.SpoolOptions{Dir: t.TempDir(), Now: clock.now})
	put(t, s, 0, 10, 3)
	list := drain(s)
	s.Ack(list[9])
	s.Rewind(true)
	if got := drain(s); len(got) != 10 {
		t.Errorf("%d frames are kept", len(got))
	}
	for at := int64(10); at < 160; at++ { // twenty-five minutes on
		clock.at = clock.at.Add(10 * time.Second)
		put(t, s, at, at+1, 3)
		list = drain(s)
		s.Ack(list[len(list)-1])
	}
	s.Rewind(true)
	got := times(drain(s))
	if len(got) < 60 || len(got) > 130 || got[0] == 0 {
		t.Errorf("%d frames are kept, from %d on", len(got), got[0])
	}
	if st := s.Stats(); st.Size+st.Age+st.Corrupt != 0 {
		t.Errorf("acknowledged frames were counted as lost: %+v", st)
	}
}

// files lists the files of the spool, oldest first.
func files(t *testing.T, dir string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "*.spool"))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// spoolWith makes a spool of three files with ten frames each.
func spoolWith(t *testing.T) string {
	dir := t.TempDir()
	for n := range int64(3) {
		s := openSpool(t, uplink.SpoolOptions{Dir: dir})
		put(t, s, n*10, n*10+10, 3)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(files(t, dir)); n != 3 {
		t.Fatalf("%d files", n)
	}
	return dir
}

func TestSpoolSurvivesADamagedTail(t *testing.T) {
	whole := spoolWith(t)
	last := files(t, whole)[2]
	content, err := os.ReadFile(last)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range content {
		if cut%7 != 0 && cut < len(content)-40 {
			continue
		}
		for _, tail := range []string{"", "\x00\x00\x00\x00\x00\x00\x00\x00\x00", "\xff\xff\xff\xff rubbish"} {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(last)), append(content[:cut:cut], tail...), 0o600); err != nil {
				t.Fatal(err)
			}
			s := openSpool(t, uplink.SpoolOptions{Dir: dir})
			put(t, s, 100, 103, 3)
			got := times(drain(s))
			if len(got) < 23 || !slices.Equal(got[:20], upTo(20)) || !slices.Equal(got[len(got)-3:], []int64{100, 101, 102}) || !slices.IsSorted(got) {
				t.Fatalf("cut at %d of %d: %v", cut, len(content), got)
			}
			if p := s.Stats().Pending; p != uint64(len(got)) {
				t.Fatalf("cut at %d: %d pending of %d", cut, p, len(got))
			}
			_ = s.Close()
		}
	}
}

func TestSpoolCountsWhatDamageInTheMiddleCosts(t *testing.T) {
	dir := spoolWith(t)
	middle := files(t, dir)[1]
	content, err := os.ReadFile(middle)
	if err != nil {
		t.Fatal(err)
	}
	for at := 16; at < len(content); at += 3 { // any byte behind the header
		damaged := slices.Clone(content)
		damaged[at] ^= 0x40
		if err := os.WriteFile(middle, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		s := openSpool(t, uplink.SpoolOptions{Dir: dir})
		list := drain(s)
		for _, f := range list {
			if want := frame(f.At, 3); !slices.Equal(f.Values, want.Values) || f.Source != want.Source {
				t.Fatalf("byte %d: a damaged frame came through: %+v", at, f)
			}
		}
		got, lost := times(list), s.Stats().Corrupt
		if lost == 0 || lost > 10 || len(got)+int(lost) != 30 || got[len(got)-1] != 29 {
			t.Fatalf("byte %d: %d lost, got %v", at, lost, got)
		}
		s.Ack(list[len(list)-1])
		if p := s.Stats().Pending; p != 0 {
			t.Fatalf("byte %d: %d still pending", at, p)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(dir, "cursor")); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSpoolRemembersNowAndThenWhatWasAcknowledged(t *testing.T) {
	dir := t.TempDir()
	clock := &manual{at: time.Unix(1790000000, 0)}
	s := openSpool(t, uplink.SpoolOptions{Dir: dir, Now: clock.now})
	for at := range int64(100) {
		put(t, s, at, at+1, 3)
		s.Ack(drain(s)[0])
		clock.at = clock.at.Add(10 * time.Second)
	}
	// The process dies without a word; another takes up its files.
	killed := t.TempDir()
	if err := os.CopyFS(killed, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	again := openSpool(t, uplink.SpoolOptions{Dir: killed, Now: clock.now})
	if n := len(drain(again)); n > 10 {
		t.Errorf("%d acknowledged frames would be sent again", n)
	}
}

func TestSpoolBearsStrangeFilesAndCursors(t *testing.T) {
	dir := spoolWith(t)
	for name, content := range map[string]string{
		"cursor": "not a number", "notes.txt": "hello", "zzzz.spool": "?", "00000000000000ff.spool": "not a spool file",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := openSpool(t, uplink.SpoolOptions{Dir: dir})
	if got := times(drain(s)); !slices.Equal(got, upTo(30)) {
		t.Errorf("got %v", got)
	}
	_ = s.Close()
	if err := os.WriteFile(filepath.Join(dir, "cursor"), []byte("00000000ffffffff\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s = openSpool(t, uplink.SpoolOptions{Dir: dir})
	put(t, s, 50, 52, 3)
	if got := times(drain(s)); !slices.Equal(got, []int64{50, 51}) {
		t.Errorf("a cursor beyond everything: got %v", got)
	}
}

func TestSpoolGoesOnInMemoryWhileTheDiskCannotBeWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	clock := &manual{at: time.Unix(1790000000, 0)}
	s := openSpool(t, uplink.SpoolOptions{Dir: dir, Now: clock.now})
	put(t, s, 0, 5, 3)
	if got := times(drain(s)); !slices.Equal(got, upTo(5)) {
		t.Errorf("got %v", got)
	}
	if err := os.RemoveAll(dir); err != nil { // new files cannot be made
		t.Fatal(err)
	}
	clock.at = clock.at.Add(11 * time.Minute)
	put(t, s, 5, 10, 3)
	if got := times(drain(s)); !slices.Equal(got, []int64{5, 6, 7, 8, 9}) {
		t.Errorf("got %v", got)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	clock.at = clock.at.Add(11 * time.Minute)
	put(t, s, 10, 15, 3)
	if got := times(drain(s)); !slices.Equal(got, []int64{10, 11, 12, 13, 14}) {
		t.Errorf("got %v", got)
	}
	if len(files(t, dir)) == 0 {
		t.Error("it never went back to the disk")
	}
}

func TestIdentityIsMadeOnceAndKeptToItself(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	made, err := uplink.LoadIdentity(dir, time.Unix(1790000000, 0))
	if err != nil || made.Enrolled() {
		t.Fatalf("%v, %+v", err, made)
	}
	info, err := os.Stat(filepath.Join(dir, "identity.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, mode %v", err, info.Mode())
	}
	made.Node, made.Pin, made.Endpoints = muster.NewNodeID(), "ab", []string{"https://a"}
	if err := made.Save(); err != nil {
		t.Fatal(err)
	}
	read, err := uplink.LoadIdentity(dir, time.Now())
	if err != nil || !read.Enrolled() || !read.Key.Equal(made.Key) || read.Node != made.Node || read.Pin != "ab" ||
		!slices.Equal(read.Endpoints, made.Endpoints) || !read.CreatedAt.Equal(made.CreatedAt) {
		t.Errorf("%v, %+v", err, read)
	}
	for _, damage := range []string{"", "{}", `{"version":2}`, "null", `{"version":1,"seed":"YWJj"}`} {
		if err := os.WriteFile(filepath.Join(dir, "identity.json"), []byte(damage), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := uplink.LoadIdentity(dir, time.Now()); !errors.Is(err, muster.ErrInvalid) {
			t.Errorf("%q: %v", damage, err)
		}
	}
}

func TestAStateDirectoryHasOneAgent(t *testing.T) {
	dir := t.TempDir()
	lock, err := uplink.LockState(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := uplink.LockState(dir); !errors.Is(err, muster.ErrConflict) {
		t.Errorf("got %v", err)
	}
	_ = lock.Close()
	again, err := uplink.LockState(dir)
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()
}

func FuzzSpoolFile(f *testing.F) {
	dir := f.TempDir()
	s, err := uplink.OpenSpool(uplink.SpoolOptions{Dir: dir})
	if err != nil {
		f.Fatal(err)
	}
	for at := range int64(4) {
		if err := s.Append(frame(at, 2+int(at)%2)); err != nil {
			f.Fatal(err)
		}
	}
	_ = s.Close()
	seed, err := os.ReadFile(filepath.Join(dir, "0000000000000000.spool"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add(seed[:len(seed)-3])
	f.Fuzz(func(t *testing.T, content []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "0000000000000000.spool"), content, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := uplink.OpenSpool(uplink.SpoolOptions{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.Append(frame(77, 3)); err != nil {
			t.Fatal(err)
		}
		list := drain(s)
		if len(list) == 0 || list[len(list)-1].At != 77 {
			t.Fatalf("a new frame behind a damaged file is lost: %v", times(list))
		}
	})
}

func FuzzParsePin(f *testing.F) {
	f.Add("sha256:AB:cd")
	f.Fuzz(func(t *testing.T, s string) {
		if pin, err := uplink.ParsePin(s); err == nil && len(pin) != 32 {
			t.Fatalf("%d bytes", len(pin))
		}
	})
}
