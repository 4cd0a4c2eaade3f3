// Package seal gives encryption for the secrets the store keeps: with the database alone nobody can
// read them. The key lies outside the store, in a file of the server's or wherever an operator puts it.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"muster"
)

// KeySize is the length of a key, in bytes.
const KeySize = 32

// version is the first byte of everything sealed: AES-256-GCM, a random nonce, the purpose as additional data.
const version = 1

// Sealer seals and opens with one key. It is safe for use by many goroutines.
type Sealer struct {
	aead cipher.AEAD
}

// New makes a sealer of a key of KeySize bytes; the error wraps muster.ErrInvalid.
func New(key []byte) (*Sealer, error) {
	if len(key) != KeySize {
		return nil, fmt.Errorf("seal: read key: %w: it has %d bytes, not %d", muster.ErrInvalid, len(key), KeySize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("seal: read key: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("seal: read key: %w", err)
	}
	return &Sealer{aead: aead}, nil
}

// OpenFile makes a sealer of the key in a file of 64 hexadecimal digits, writing a fresh one, readable
// by the owner only, where there is none.
func OpenFile(name string) (*Sealer, error) {
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		text, err = writeKey(name)
	}
	if err != nil {
		return nil, fmt.Errorf("seal: open key file: %w", err)
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("seal: open key file %s: %w: it must hold %d hexadecimal digits; put the right file back, or what is sealed cannot be read again", name, muster.ErrInvalid, 2*KeySize)
	}
	return New(key)
}

// writeKey makes the file whole or not at all, since a key that is half written seals what nobody can open.
func writeKey(name string) ([]byte, error) {
	key := make([]byte, KeySize)
	rand.Read(key)
	text := []byte(hex.EncodeToString(key) + "\n")
	file, err := os.CreateTemp(filepath.Dir(name), ".seal-*")
	if err != nil {
		return nil, err
	}
	defer os.Remove(file.Name())
	if _, err = file.Write(text); err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	return text, os.Rename(file.Name(), name)
}

// Seal encrypts plain; purpose says what it is ("cluster ca"), and Open must be given the same.
func (s *Sealer) Seal(plain []byte, purpose string) []byte {
	nonce := make([]byte, s.aead.NonceSize())
	rand.Read(nonce)
	out := append([]byte{version}, nonce...)
	return s.aead.Seal(out, nonce, plain, []byte(purpose))
}

// Open decrypts what Seal gave; the error wraps muster.ErrDenied when the key or the purpose is not
// the one it was sealed with, or a byte was changed.
func (s *Sealer) Open(sealed []byte, purpose string) ([]byte, error) {
	n := s.aead.NonceSize()
	if len(sealed) < 1+n || sealed[0] != version {
		return nil, fmt.Errorf("seal: open %s: %w: this is not a sealed secret of a known version", purpose, muster.ErrInvalid)
	}
	plain, err := s.aead.Open(nil, sealed[1:1+n], sealed[1+n:], []byte(purpose))
	if err != nil {
		return nil, fmt.Errorf("seal: open %s: %w: it was sealed with another key, or changed", purpose, muster.ErrDenied)
	}
	return plain, nil
}
