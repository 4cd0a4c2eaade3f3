package uplink_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"muster/internal/uplink"
)

func FuzzIdentity(f *testing.F) {
	dir := f.TempDir()
	if _, err := uplink.LoadIdentity(dir, time.Now()); err != nil {
		f.Fatal(err)
	}
	made, err := os.ReadFile(filepath.Join(dir, "identity.json"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(made)
	f.Add([]byte(`{"version":1,"seed":"","node":"node_x"}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "identity.json"), content, 0o600); err != nil {
			t.Fatal(err)
		}
		id, err := uplink.LoadIdentity(dir, time.Now())
		if err == nil && len(id.Key) == 0 {
			t.Fatal("an identity without a key")
		}
	})
}
