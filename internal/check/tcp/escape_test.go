package tcp

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func TestUnescape(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "plain ü": "plain ü", `\r\n\t\0\\`: "\r\n\t\x00\\", `\x41\xfF`: "A\xff", `a\\x41`: `a\x41`,
	} {
		if got, fault := unescape(text); string(got) != want || fault != "" {
			t.Errorf("%q becomes %q, %s", text, got, fault)
		}
	}
	for _, text := range []string{`\`, `a\`, `\x`, `\x4`, `\xg1`, `\x+1`, `\u0041`, `\ü`, `\ `} {
		if got, fault := unescape(text); fault == "" {
			t.Errorf("%q becomes %q", text, got)
		}
	}
}

// FuzzUnescape writes every byte of what comes out in hexadecimal: that must come out again.
func FuzzUnescape(f *testing.F) {
	f.Add(`EHLO a\r\n\x00\\`)
	f.Add(`\x4`)
	f.Fuzz(func(t *testing.T, text string) {
		b, fault := unescape(text)
		if fault != "" {
			return
		}
		var again strings.Builder
		for _, c := range b {
			fmt.Fprintf(&again, `\x%02x`, c)
		}
		if back, fault := unescape(again.String()); fault != "" || !bytes.Equal(back, b) {
			t.Errorf("%q becomes %q, which becomes %q, %s", text, b, back, fault)
		}
	})
}
