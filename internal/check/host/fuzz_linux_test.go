package host

import (
	"math"
	"strconv"
	"testing"
	"unicode/utf8"

	"muster/internal/check"
)

// FuzzKernelText gives arbitrary text to everything that reads what the kernel writes: nothing may
// panic or run for ever, and what is read must make sense.
func FuzzKernelText(f *testing.F) {
	f.Add([]byte("cpu  1000 20 300 8000 40 5 15 7 100 0\ncpu0 1 2\nctxt 5\n"))
	f.Add([]byte("27 1 8:1 / /a\\040b rw - ext4 /dev/sda1 rw\n30 27 8:1 /x / rw shared:1 - btrfs /dev/sdb ro"))
	f.Add([]byte("Tcp: CurrEstab OutSegs\nTcp: 1 2\nTCP: inuse 1 tw 2\nUDP: inuse 3\nMemTotal: 5 kB\n"))
	f.Add([]byte("NAME=\"x\"\nmodel name\t: y\n   8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		newCPU(&procFile{}).parse(text(b))
		k := newSockets(&procFile{}, &procFile{})
		k.parseSockstat(text(b))
		k.parseSNMP(text(b))
		readNamed(text(b), named("MemTotal:", "pgfault"))
		var s check.Sample
		lines := text(b)
		for line, ok := lines.line(); ok; line, ok = lines.line() {
			newDisk("x").put(&s, line)
			newNetwork("x").put(&s, line)
			parseMount(line)
		}
		if list := pickMounts(text(b)); len(list) > maxDevices {
			t.Errorf("%d mounts", len(list))
		}
		osRelease(string(b))
		cpuField(string(b), "model name")
		numericEntries(b)
	})
}

func FuzzNumber(f *testing.F) {
	f.Add("12345678901234567890")
	f.Add("86461.73")
	f.Add("-1")
	f.Fuzz(func(t *testing.T, s string) {
		got := text(s).value()
		want, err := strconv.ParseFloat(s, 64)
		if math.IsNaN(got) || !utf8.ValidString(s) {
			return // no number here; whether it is one elsewhere does not matter
		}
		if err != nil || math.Abs(got-want) > math.Abs(want)*1e-15 {
			t.Errorf("%q is %v, not %v (%v)", s, got, want, err)
		}
	})
}
