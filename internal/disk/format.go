package disk

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"muster"
)

// FormatFile is the name of the file that says what a directory holds and in which version:
// one line "muster ROOM FORMAT", for instance "muster store 1".
const FormatFile = "FORMAT"

// checkFormat reads the format file, or writes it into a directory that holds nothing yet.
func checkFormat(dir, room string, format int) error {
	path := filepath.Join(dir, FormatFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := mustBeNew(dir); err != nil {
			return err
		}
		return writeFormat(path, room, format)
	}
	if err != nil {
		return fmt.Errorf("disk: open: %w: %w", muster.ErrUnavailable, err)
	}
	foundRoom, found, err := parseFormat(text)
	switch {
	case err != nil:
		return fmt.Errorf("disk: open: %w: %s does not say what the directory holds; restore it from a backup, or choose another directory with --data", err, path)
	case foundRoom != room:
		return fmt.Errorf("disk: open: %w: %s holds %q, not %q; choose another directory with --data", muster.ErrInvalid, dir, foundRoom, room)
	case found > format:
		return fmt.Errorf("disk: open: %w: %s was written by a newer muster (%s format %d, this program knows up to %d); start the newer program, or choose another directory with --data", muster.ErrInvalid, dir, room, found, format)
	}
	return nil
}

// parseFormat reads the file's one line; the error wraps muster.ErrInvalid.
func parseFormat(text []byte) (room string, format int, err error) {
	line, rest, ended := bytes.Cut(text, []byte("\n"))
	if !ended || len(rest) != 0 || len(line) > 100 {
		return "", 0, fmt.Errorf("%w: not one short line", muster.ErrInvalid)
	}
	if n, err := fmt.Sscanf(string(line), "muster %s %d", &room, &format); err != nil || n != 2 || format < 1 {
		return "", 0, fmt.Errorf("%w: not of the form \"muster ROOM FORMAT\"", muster.ErrInvalid)
	}
	if fmt.Sprintf("muster %s %d", room, format) != string(line) {
		return "", 0, fmt.Errorf("%w: followed by strange bytes", muster.ErrInvalid)
	}
	return room, format, nil
}

// mustBeNew refuses to take over somebody else's files: only what locking itself makes may be there.
func mustBeNew(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("disk: open: %w: %w", muster.ErrUnavailable, err)
	}
	for _, entry := range entries {
		switch entry.Name() {
		case "LOCK", ownerFile, FormatFile + ".new":
		default:
			return fmt.Errorf("disk: open: %w: %s is not empty (it has %q) and no %s file says that it is muster's; choose another directory with --data", muster.ErrInvalid, dir, entry.Name(), FormatFile)
		}
	}
	return nil
}

// writeFormat writes the file so that after a power cut it is there whole or not at all.
func writeFormat(path, room string, format int) error {
	fail := func(err error) error {
		return fmt.Errorf("disk: open: %w: %s cannot be written: %w", muster.ErrUnavailable, path, err)
	}
	fresh, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fail(err)
	}
	_, err = fmt.Fprintf(fresh, "muster %s %d\n", room, format)
	if err = errors.Join(err, fresh.Sync(), fresh.Close()); err != nil {
		return fail(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fail(err)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fail(err)
	}
	defer dir.Close()
	_ = dir.Sync() // not every system can; the file itself is synced
	return nil
}
