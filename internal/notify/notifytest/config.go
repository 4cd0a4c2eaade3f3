package notifytest

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"muster"
	"muster/internal/check"
	"muster/internal/notify"
)

// Configs checks how a driver reads configurations: good ones have a normal form that stays the same, bad ones (each with the
// field it must name) are refused in words that hold none of the secrets.
func Configs(t *testing.T, d notify.Driver, good []string, bad map[string]string, secrets ...string) {
	for _, config := range good {
		normal(t, d, config)
	}
	bad[`[]`], bad[`"x"`], bad[`{`], bad[`{"url": "`+strings.Repeat("x", check.MaxConfig)+`"}`] = "config", "config", "config", "config"
	bad[`{"strange": 1}`] = "strange"
	for config, field := range bad {
		_, err := d.Parse([]byte(config))
		var fault *notify.ConfigError
		if !errors.As(err, &fault) || !errors.Is(err, muster.ErrInvalid) {
			t.Errorf("%.200s: %v, want what is wrong with %s", config, err, field)
			continue
		}
		if !slices.ContainsFunc(fault.Fields, func(f notify.FieldError) bool { return f.Field == field }) {
			t.Errorf("%.200s: %v, which does not name %q", config, err, field)
		}
		text := err.Error()
		for _, s := range secrets {
			if strings.Contains(text, s) {
				t.Errorf("%.200s: the error shows %q: %v", config, s, err)
			}
		}
	}
}

// normal checks that a configuration has a normal form and gives its fields.
func normal(t *testing.T, d notify.Driver, config string) {
	t.Helper()
	s, err := d.Parse([]byte(config))
	if err != nil {
		t.Errorf("%s: %v", config, err)
		return
	}
	once := s.Config()
	if !json.Valid(once) || bytes.ContainsAny(once, "\n") {
		t.Errorf("%s: the normal form is %s", config, once)
	}
	again, err := d.Parse(once)
	if err != nil {
		t.Errorf("%s: the normal form %s is refused: %v", config, once, err)
		return
	}
	if !bytes.Equal(again.Config(), once) {
		t.Errorf("%s: the normal form %s becomes %s", config, once, again.Config())
	}
}

// Fuzz feeds a driver configurations: what it takes has a normal form, what it refuses is invalid.
func Fuzz(f *testing.F, d notify.Driver, seeds ...string) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, config []byte) {
		if _, err := d.Parse(config); err != nil {
			if !errors.Is(err, muster.ErrInvalid) {
				t.Fatalf("%q: %v", config, err)
			}
			return
		}
		normal(t, d, string(config))
	})
}
