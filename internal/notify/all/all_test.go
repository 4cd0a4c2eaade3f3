package all_test

import (
	"errors"
	"os"
	"testing"

	"muster"
	"muster/internal/notify/all"
	"muster/internal/notify/email"
	"muster/internal/outbound"
)

// TestEveryDirectoryIsListed: a driver that nobody lists can't be used.
func TestEveryDirectoryIsListed(t *testing.T) {
	drivers, err := all.Drivers(all.Options{})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, e := range entries {
		// These are no drivers.
		if name := e.Name(); !e.IsDir() || name == "all" || name == "notifytest" || name == "testdata" || name == "calendar" {
			continue
		}
		found++
		if d := drivers[e.Name()]; d == nil {
			t.Errorf("%s is not listed", e.Name())
		} else if d.Kind() != e.Name() {
			t.Errorf("%s says that it is %q", e.Name(), d.Kind())
		}
	}
	if found != len(drivers) {
		t.Errorf("%d directories, %d drivers", found, len(drivers))
	}
}

func TestWrongOptions(t *testing.T) {
	for name, o := range map[string]all.Options{
		"way out": {Net: outbound.Options{Timeout: -1}}, "email": {Email: email.Options{SMTP: "x"}},
	} {
		if _, err := all.Drivers(o); !errors.Is(err, muster.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
