package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"muster"
)

// Bounds of a password, in characters and bytes.
const (
	minPassword = 8
	maxPassword = 1024
)

// hashersAtOnce is how many passwords are hashed at the same time; the others wait.
const hashersAtOnce = 2

// cost says how hard argon2id works: memory in KiB, passes, lanes.
type cost struct {
	memory uint32
	passes uint32
	lanes  uint8
}

// current is the cost of new hashes: 19 MiB, two passes, one lane, as OWASP advises.
func current() cost { return cost{memory: 19 << 10, passes: 2, lanes: 1} }

const (
	saltBytes = 16
	keyBytes  = 32
)

// phc is a hash as it is stored: $argon2id$v=19$m=19456,t=2,p=1$SALT$KEY, both in base64 without padding.
type phc struct {
	cost cost
	salt []byte
	key  []byte
}

func hashPassword(password string) string {
	h := phc{cost: current(), salt: make([]byte, saltBytes)}
	rand.Read(h.salt) // never fails since Go 1.24: the process ends instead
	h.key = h.derive(password, keyBytes)
	return h.String()
}

func (h *phc) derive(password string, n int) []byte {
	return argon2.IDKey([]byte(password), h.salt, h.cost.passes, h.cost.memory, h.cost.lanes, uint32(n))
}

func (h *phc) matches(password string) bool {
	return subtle.ConstantTimeCompare(h.derive(password, len(h.key)), h.key) == 1
}

// String gives the stored form.
func (h *phc) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.cost.memory, h.cost.passes, h.cost.lanes,
		b64.EncodeToString(h.salt), b64.EncodeToString(h.key))
}

// parsePHC reads the stored form; the error wraps muster.ErrInvalid. Costs beyond what a server should bear are refused.
func parsePHC(text string) (*phc, error) {
	bad := func(why string) (*phc, error) {
		return nil, fmt.Errorf("%w: password hash: %s", muster.ErrInvalid, why)
	}
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return bad("not argon2id in PHC form")
	}
	h := &phc{}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.cost.memory, &h.cost.passes, &h.cost.lanes); err != nil {
		return bad("its costs can't be read")
	}
	const mostMemory, mostPasses, mostLanes = 256 << 10, 16, 16
	if h.cost.memory < 8 || h.cost.memory > mostMemory || h.cost.passes < 1 || h.cost.passes > mostPasses || h.cost.lanes < 1 || h.cost.lanes > mostLanes {
		return bad("its costs are out of bounds")
	}
	var err1, err2 error
	h.salt, err1 = base64.RawStdEncoding.DecodeString(parts[4])
	h.key, err2 = base64.RawStdEncoding.DecodeString(parts[5])
	if errors.Join(err1, err2) != nil || len(h.salt) < 8 || len(h.salt) > 64 || len(h.key) < 16 || len(h.key) > 64 {
		return bad("its salt or key can't be read")
	}
	if h.String() != text {
		return bad("strange characters in it")
	}
	return h, nil
}

// nobody gives a hash that no password has: checking against it takes as long as against a real one,
// so that the time does not tell which names exist.
var nobody = sync.OnceValue(func() *phc {
	return &phc{cost: current(), salt: make([]byte, saltBytes), key: make([]byte, keyBytes)}
})

// verify says whether the password is the one of stored; "" has none.
func (s *Service) verify(ctx context.Context, stored, password string) (bool, error) {
	h, real := nobody(), false
	if stored != "" {
		parsed, err := parsePHC(stored)
		if err != nil {
			return false, err
		}
		h, real = parsed, true
	}
	if len(password) > maxPassword {
		return false, nil
	}
	var match bool
	err := s.hashing(ctx, func() { match = h.matches(password) })
	return match && real, err
}

// hashing runs work when it is its turn.
func (s *Service) hashing(ctx context.Context, work func()) error {
	select {
	case s.work <- struct{}{}:
		defer func() { <-s.work }()
		work()
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", muster.ErrUnavailable, context.Cause(ctx))
	}
}

func checkPassword(password string) error {
	if utf8.RuneCountInString(password) < minPassword || len(password) > maxPassword || !utf8.ValidString(password) {
		return fmt.Errorf("%w: a password has at least %d characters and at most %d bytes", muster.ErrInvalid, minPassword, maxPassword)
	}
	return nil
}

// HasPassword says whether a password was chosen; also true when that can't be found out, and for tokens.
func (s *Service) HasPassword(ctx context.Context, id Identity) bool {
	if id.User == "" {
		return true
	}
	user, err := s.store.User(ctx, id.Account, id.User)
	return err != nil || user.PasswordHash != ""
}

// SetPassword gives a user a new password. The old one is asked for once there is one: ErrDenied when
// it is wrong, *LimitedError after too many attempts. ErrInvalid when the new one is too short. All other sessions of the user end.
func (s *Service) SetPassword(ctx context.Context, id Identity, old, fresh string) error {
	if err := s.setPassword(ctx, id, old, fresh); err != nil {
		s.count("password", outcome(err))
		return fmt.Errorf("auth: set password: %w", err)
	}
	s.count("password", "ok")
	s.tell(ctx, muster.Event{Account: id.Account, Kind: "user.password_changed", Actor: id.Actor(), Subject: string(id.User), Name: id.Name, Text: "chose a new password"})
	return nil
}

func (s *Service) setPassword(ctx context.Context, id Identity, old, fresh string) error {
	if id.User == "" {
		return fmt.Errorf("%w: a token has no password", muster.ErrDenied)
	}
	if err := checkPassword(fresh); err != nil {
		return err
	}
	user, err := s.store.User(ctx, id.Account, id.User)
	if err != nil {
		return err
	}
	if user.PasswordHash != "" {
		if err := s.confirmOld(ctx, user, old); err != nil {
			return err
		}
	}
	var hash string
	if err := s.hashing(ctx, func() { hash = hashPassword(fresh) }); err != nil {
		return err
	}
	_, err = s.store.UpdateUser(ctx, id.Account, id.User, 0, func(u *muster.User) error {
		if u.PasswordHash != user.PasswordHash {
			return fmt.Errorf("%w: the password was changed at the same time", muster.ErrConflict)
		}
		u.PasswordHash = hash
		return nil
	})
	if err != nil {
		return err
	}
	defer s.Forget(id.Account, id.User, "")
	return s.keepSession(ctx, id, hash)
}

func (s *Service) confirmOld(ctx context.Context, user *muster.User, old string) error {
	limits := attempts("change "+string(user.ID), "")
	if wait := s.limits.take(limits); wait > 0 {
		return &LimitedError{After: wait}
	}
	right, err := s.verify(ctx, user.PasswordHash, old)
	if err != nil {
		return err
	}
	if !right {
		return fmt.Errorf("%w: the old password is not right", muster.ErrDenied)
	}
	s.limits.give(limits)
	return nil
}
