package host_test

import (
	"context"
	"flag"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"muster"
	"muster/internal/check"
	"muster/internal/check/host"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// machine copies the fixture of a machine's files to a place where a test may change them.
func machine(t *testing.T) (string, host.Options) {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/machine")); err != nil {
		t.Fatal(err)
	}
	return dir, host.Options{Proc: filepath.Join(dir, "proc"), Sys: filepath.Join(dir, "sys"), Etc: filepath.Join(dir, "etc")}
}

func edit(t *testing.T, path, from, to string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), from) {
		t.Fatalf("%s does not have %q", path, from)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(b), from, to, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// text writes a frame as lines: name, attributes, unit, kind, value.
func text(schema *muster.Schema, values []float64) string {
	var b strings.Builder
	for i, m := range schema.Metrics {
		fmt.Fprintf(&b, "%s", m.Name)
		for _, a := range m.Attrs {
			fmt.Fprintf(&b, " %s=%s", a.Key, strings.ReplaceAll(a.Value, " ", "_"))
		}
		fmt.Fprintf(&b, " [%s %s] %v\n", m.Unit, m.Kind, values[i])
	}
	return b.String()
}

func collect(t *testing.T, h *host.Host, s *check.Sample, at time.Time) (*muster.Schema, []float64) {
	t.Helper()
	s.Reset(at)
	if err := h.Collect(context.Background(), s); err != nil {
		t.Fatal(err)
	}
	schema, values := s.Frame()
	if s.Dropped() != 0 {
		t.Errorf("%d metrics were left out", s.Dropped())
	}
	return schema, values
}

func find(schema *muster.Schema, values []float64, name string, attrs ...string) float64 {
	for i, m := range schema.Metrics {
		fits := m.Name == name
		for k := 0; k+1 < len(attrs); k += 2 {
			fits = fits && m.Attr(attrs[k]) == attrs[k+1]
		}
		if fits {
			return values[i]
		}
	}
	return -1
}

func TestEverythingAMachineTells(t *testing.T) {
	dir, options := machine(t)
	h := host.New(options)
	defer h.Close()
	var s check.Sample
	at := time.Unix(1790000000, 0)
	collect(t, h, &s, at)
	edit(t, filepath.Join(dir, "proc/stat"), "cpu  1000 20 300 8000 40", "cpu  1050 20 310 8130 50")
	schema, values := collect(t, h, &s, at.Add(time.Second))
	var lines []string
	for line := range strings.Lines(text(schema, values)) {
		// How full the filesystems of this machine are is not the fixture's to say.
		if strings.HasPrefix(line, "system.filesystem") && !strings.HasPrefix(line, "system.filesystem.read_only") {
			line = line[:strings.LastIndexByte(line, ' ')] + " ?\n"
		}
		lines = append(lines, line)
	}
	got := strings.Join(lines, "")
	const golden = "testdata/machine.txt"
	if *rewrite {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestStatesAddUpToTheLimit(t *testing.T) {
	_, options := machine(t)
	h := host.New(options)
	defer h.Close()
	var s check.Sample
	schema, values := collect(t, h, &s, time.Unix(1790000000, 0))
	var memory, share float64
	for i, m := range schema.Metrics {
		switch m.Name {
		case "system.memory.usage":
			memory += values[i]
		case "system.memory.utilization":
			share += values[i]
		}
	}
	if limit := find(schema, values, "system.memory.limit"); memory != limit || math.Abs(share-1) > 1e-9 {
		t.Errorf("%v of %v bytes, shares %v", memory, limit, share)
	}
}

func TestTheSchemaChangesOnlyWithTheMachine(t *testing.T) {
	dir, options := machine(t)
	h := host.New(options)
	defer h.Close()
	var s check.Sample
	at := time.Unix(1790000000, 0)
	first, _ := collect(t, h, &s, at)
	for i := range 5 {
		if again, _ := collect(t, h, &s, at.Add(time.Duration(i+1)*10*time.Second)); again != first {
			t.Fatal("a schema was made anew without need")
		}
	}
	edit(t, filepath.Join(dir, "proc/net/dev"), "  eth1:       0       0", "  eth1:       9       1")
	edit(t, filepath.Join(dir, "proc/self/mountinfo"), "xfs /dev/nvme0n1p1 ro", "xfs /dev/nvme0n1p1 rw")
	second, values := collect(t, h, &s, at.Add(time.Hour))
	if len(second.Metrics) != len(first.Metrics)+8 {
		t.Errorf("%d metrics, then %d with another interface", len(first.Metrics), len(second.Metrics))
	}
	if ro := find(second, values, "system.filesystem.read_only", "system.device", "/dev/nvme0n1p1"); ro != 0 {
		t.Errorf("read-only is %v", ro)
	}
}

func TestAnUnansweredPartDoesNotHideTheOthers(t *testing.T) {
	dir, options := machine(t)
	for _, gone := range []string{"proc/stat", "proc/pressure", "proc/diskstats", "proc/self"} {
		if err := os.RemoveAll(filepath.Join(dir, gone)); err != nil {
			t.Fatal(err)
		}
	}
	h := host.New(options)
	defer h.Close()
	var s check.Sample
	s.Reset(time.Unix(1790000000, 0))
	err := h.Collect(context.Background(), &s)
	if err == nil || !strings.Contains(err.Error(), "proc/stat") {
		t.Errorf("got %v", err)
	}
	schema, values := s.Frame()
	if load := find(schema, values, "system.cpu.load_average.1m"); load != 0.52 {
		t.Errorf("load %v", load)
	}
	if user := find(schema, values, "system.cpu.time", "cpu.mode", "user"); !math.IsNaN(user) {
		t.Errorf("user %v", user)
	}
}

// Whatever the kernel writes one day, there is a frame and nothing panics.
func TestRubbishIsBorne(t *testing.T) {
	dir, options := machine(t)
	var files []string
	err := filepath.WalkDir(filepath.Join(dir, "proc"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, rubbish := range []string{"", "\n\n", "cpu", "\x00\xff", "a b c d e f g h i j k l m\n", ":::::\n", "TCP: tw\nUDP:\nTcp:\nTcp: 1\n",
		"1 2 3\\04 \\040 - \n27 1 8:1 / / rw - \n27 1 8:1 / /x rw - ext4", strings.Repeat("9", 400), "some total=\nfull avg total=x\n"} {
		for _, path := range files {
			if err := os.WriteFile(path, []byte(rubbish), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		h := host.New(options)
		var s check.Sample
		for i := range 3 {
			s.Reset(time.Unix(1790000000+int64(i)*60, 0))
			_ = h.Collect(context.Background(), &s)
			if schema, _ := s.Frame(); schema == nil {
				t.Errorf("%q: no frame at all", rubbish)
			}
		}
		if _, err := h.Facts(context.Background()); err != nil {
			t.Errorf("%q: facts: %v", rubbish, err)
		}
		_ = h.Close()
	}
}

func TestFactsOfAMachine(t *testing.T) {
	_, options := machine(t)
	facts, err := host.New(options).Facts(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"os.type": "linux", "os.name": "Debian GNU/Linux", "os.version": "12", "os.description": "Debian GNU/Linux 12 (bookworm)",
		"host.id": "i-0123456789abcdef0", "host.cpu.model.name": "Example(R) CPU @ 2.00GHz", "system.memory.limit": "1024000000",
		"cloud.provider": "aws", "cloud.platform": "aws_ec2", "host.type": "t3.micro",
	} {
		if facts.Facts[key] != want {
			t.Errorf("%s is %q, want %q", key, facts.Facts[key], want)
		}
	}
	if facts.BootID != "11111111-2222-3333-4444-555555555555" || facts.Hostname == "" {
		t.Errorf("got %+v", facts)
	}
	if slices.Contains(facts.Addresses, "127.0.0.1") {
		t.Errorf("addresses %v", facts.Addresses)
	}
}

func TestThisMachine(t *testing.T) {
	h := host.New(host.Options{})
	defer h.Close()
	var s check.Sample
	collect(t, h, &s, time.Now())
	schema, values := collect(t, h, &s, time.Now())
	for _, name := range []string{"system.cpu.time", "system.memory.limit", "system.uptime", "system.process.count", "system.cpu.logical.count"} {
		if v := find(schema, values, name); !(v > 0) {
			t.Errorf("%s is %v", name, v)
		}
	}
	if v := find(schema, values, "system.filesystem.limit", "system.filesystem.mountpoint", "/"); !(v > 0) {
		t.Errorf("the root has %v bytes", v)
	}
}

func BenchmarkCollect(b *testing.B) {
	h := host.New(host.Options{})
	defer h.Close()
	var s check.Sample
	at := time.Unix(1790000000, 0)
	b.ReportAllocs()
	for b.Loop() {
		at = at.Add(10 * time.Second)
		s.Reset(at)
		if err := h.Collect(context.Background(), &s); err != nil {
			b.Fatal(err)
		}
		s.Frame()
	}
}
