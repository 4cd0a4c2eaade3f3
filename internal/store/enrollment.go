package store

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"muster"
)

// enrollmentBody is the body of an enrolment; SecretHash is in hexadecimal digits.
type enrollmentBody struct {
	SecretHash string    `json:"secret_hash"`
	UsesLeft   int       `json:"uses_left"`
	Uses       []useBody `json:"uses,omitempty"`
	ExpiresAt  time.Time `json:"expires_at"`
	CreatedAt  time.Time `json:"created_at"`
	UpdatedAt  time.Time `json:"updated_at"`
}

// useBody is one use of an enrolment; Key is in hexadecimal digits.
type useBody struct {
	Key string    `json:"key"`
	At  time.Time `json:"at"`
}

const (
	// usesKept is how many uses an enrolment remembers.
	usesKept = 64
	// useAgain is for how long the same agent may use it again without using it up: its node may not have been
	// made when the server was killed.
	useAgain = 10 * time.Minute
)

const nameOfEnrollment = "name.enrollment"

// enrollmentEpilogue is how long an enrolment is kept after it expired, so that an agent that comes late is told why.
const enrollmentEpilogue = 7 * 24 * time.Hour

func enrollmentKey(account muster.AccountID, id muster.EnrollmentID) Key {
	return Key{Account: account, Kind: "enrollment", ID: string(id)}
}

func enrollmentHash(hash []byte) Key {
	return Key{Kind: nameOfEnrollment, ID: hex.EncodeToString(hash)}
}

func enrollmentForm() form[muster.Enrollment] {
	return form[muster.Enrollment]{
		kind: "enrollment",
		key:  func(e *muster.Enrollment) Key { return enrollmentKey(e.Account, e.ID) },
		meta: func(e *muster.Enrollment) meta { return meta{&e.Rev, &e.CreatedAt, &e.UpdatedAt} },
		encode: func(e *muster.Enrollment) any {
			b := enrollmentBody{SecretHash: hex.EncodeToString(e.SecretHash), UsesLeft: e.UsesLeft, ExpiresAt: e.ExpiresAt.UTC(), CreatedAt: e.CreatedAt, UpdatedAt: e.UpdatedAt}
			for _, u := range e.Uses {
				b.Uses = append(b.Uses, useBody{hex.EncodeToString(u.Key), u.At.UTC()})
			}
			return b
		},
		decode: func(key Key, text []byte) (*muster.Enrollment, error) {
			b, err := parse[enrollmentBody](key, text)
			if err != nil {
				return nil, err
			}
			hash, err := unhex(key, b.SecretHash)
			if err != nil {
				return nil, err
			}
			e := &muster.Enrollment{ID: muster.EnrollmentID(key.ID), Account: key.Account, SecretHash: hash, UsesLeft: b.UsesLeft, ExpiresAt: b.ExpiresAt, CreatedAt: b.CreatedAt, UpdatedAt: b.UpdatedAt}
			for _, u := range b.Uses {
				agent, err := unhex(key, u.Key)
				if err != nil {
					return nil, err
				}
				e.Uses = append(e.Uses, muster.EnrollmentUse{Key: agent, At: u.At})
			}
			return e, nil
		},
		claims: func(e *muster.Enrollment) []Key { return []Key{enrollmentHash(e.SecretHash)} },
		check: func(e *muster.Enrollment) error {
			if e.ExpiresAt.IsZero() || e.UsesLeft < 0 {
				return fmt.Errorf("%w: an enrolment expires, and its uses are not negative", muster.ErrInvalid)
			}
			return checkHash(e.SecretHash)
		},
		until: func(e *muster.Enrollment) time.Time { return e.ExpiresAt.Add(enrollmentEpilogue) },
	}
}

// CreateEnrollment stores a new enrolment; it fills in ID when it is empty, Rev and times. It is
// forgotten seven days after it expired.
func (s *Store) CreateEnrollment(ctx context.Context, e *muster.Enrollment) error {
	if e.ID == "" {
		e.ID = muster.NewEnrollmentID()
	}
	return s.enrollments.create(ctx, e)
}

// Enrollment reads one enrolment of an account; ErrNotFound when there is none.
func (s *Store) Enrollment(ctx context.Context, account muster.AccountID, id muster.EnrollmentID) (*muster.Enrollment, error) {
	return s.enrollments.get(ctx, enrollmentKey(account, id), false)
}

// EnrollmentByHash reads the enrolment whose token has this SHA-256, expired and used ones too; ErrNotFound when there is none.
func (s *Store) EnrollmentByHash(ctx context.Context, hash []byte) (*muster.Enrollment, error) {
	return s.enrollments.byName(ctx, enrollmentHash(hash), false)
}

// Enrollments reads all enrolments of an account, oldest first, expired and used ones too.
func (s *Store) Enrollments(ctx context.Context, account muster.AccountID) ([]*muster.Enrollment, error) {
	return s.enrollments.list(ctx, account)
}

// UseEnrollment takes one use of the enrolment whose token has this SHA-256, for the agent with this public
// key; one that did so in the last ten minutes uses nothing up. It gives ErrDenied, with words for the
// person who pasted the token, when that is unknown, used up or expired at now.
func (s *Store) UseEnrollment(ctx context.Context, hash, agent []byte, now time.Time) (muster.Enrollment, error) {
	e, err := s.enrollments.byName(ctx, enrollmentHash(hash), false)
	if errors.Is(err, muster.ErrNotFound) { // perhaps made a moment ago
		e, err = s.enrollments.byName(ctx, enrollmentHash(hash), true)
	}
	if err == nil {
		e, err = s.enrollments.update(ctx, enrollmentKey(e.Account, e.ID), 0, func(e *muster.Enrollment) error { return useOnce(e, agent, now) })
	}
	if errors.Is(err, muster.ErrNotFound) {
		err = fmt.Errorf("store: use enrollment: %w: this enrolment token is not known here; ask for a new one", muster.ErrDenied)
	}
	if err != nil {
		return muster.Enrollment{}, err
	}
	return *e, nil
}

func useOnce(e *muster.Enrollment, agent []byte, now time.Time) error {
	again := func(u muster.EnrollmentUse) bool { return bytes.Equal(u.Key, agent) && now.Sub(u.At) < useAgain }
	switch {
	case slices.ContainsFunc(e.Uses, again):
		return nil
	case e.UsesLeft < 1:
		return fmt.Errorf("%w: this enrolment token has been used; ask for a new one", muster.ErrDenied)
	case !now.Before(e.ExpiresAt):
		return fmt.Errorf("%w: this enrolment token expired at %s; ask for a new one", muster.ErrDenied, e.ExpiresAt.UTC().Format(time.RFC3339))
	}
	e.UsesLeft--
	e.Uses = append(e.Uses, muster.EnrollmentUse{Key: agent, At: now.UTC().Truncate(time.Millisecond)})
	if len(e.Uses) > usesKept {
		e.Uses = slices.Delete(e.Uses, 0, len(e.Uses)-usesKept)
	}
	return nil
}

// DeleteEnrollment takes an invitation back; rev 0 means any, another that is not the current one gives ErrConflict.
func (s *Store) DeleteEnrollment(ctx context.Context, account muster.AccountID, id muster.EnrollmentID, rev uint64) error {
	return s.enrollments.remove(ctx, enrollmentKey(account, id), rev)
}
