package seal_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"muster"
	"muster/internal/seal"
)

func TestSealedOpensOnlyAsItWasSealed(t *testing.T) {
	name := filepath.Join(t.TempDir(), "seal.key")
	one, err := seal.OpenFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(name); info.Mode().Perm() != 0o600 {
		t.Errorf("the key file is %v: others may read it", info.Mode())
	}
	sealed := one.Seal([]byte("the key of the house"), "door")
	if bytes.Contains(sealed, []byte("house")) {
		t.Fatal("it can be read")
	}
	again, err := seal.OpenFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := again.Open(sealed, "door"); err != nil || string(plain) != "the key of the house" {
		t.Fatalf("%q, %v", plain, err)
	}
	if _, err := again.Open(sealed, "window"); !errors.Is(err, muster.ErrDenied) {
		t.Errorf("another purpose: %v", err)
	}
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if _, err := again.Open(changed, "door"); err == nil {
			t.Fatalf("byte %d was changed and nobody saw", i)
		}
	}
	other, _ := seal.New(make([]byte, seal.KeySize))
	if _, err := other.Open(sealed, "door"); !errors.Is(err, muster.ErrDenied) {
		t.Errorf("another key: %v", err)
	}
	if _, err := again.Open(nil, "door"); !errors.Is(err, muster.ErrInvalid) {
		t.Errorf("nothing: %v", err)
	}
}

func TestBrokenKeyFileIsNotReplaced(t *testing.T) {
	name := filepath.Join(t.TempDir(), "seal.key")
	if err := os.WriteFile(name, []byte("oops"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := seal.OpenFile(name); !errors.Is(err, muster.ErrInvalid) {
		t.Errorf("opened: %v", err)
	}
	if text, _ := os.ReadFile(name); string(text) != "oops" {
		t.Error("the file was written over: what was sealed is lost")
	}
}
