package all_test

import (
	"os"
	"slices"
	"testing"

	"muster/internal/check/all"
)

// TestEveryDriverIsListed reads the directories: a driver that nobody can use is a mistake.
func TestEveryDriverIsListed(t *testing.T) {
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	kinds := all.Kinds()
	found := 0
	for _, entry := range entries {
		name := entry.Name()
		if !entry.IsDir() || slices.Contains([]string{"all", "checktest", "host", "testdata"}, name) {
			continue
		}
		found++
		if kind, ok := kinds[name]; !ok || kind.Name() != name {
			t.Errorf("internal/check/%s is not listed under its name", name)
		}
	}
	if found != len(kinds) || found == 0 {
		t.Errorf("%d directories, %d kinds", found, len(kinds))
	}
	delete(kinds, "http")
	if len(all.Kinds()) != found {
		t.Error("the map is shared")
	}
}
