// Package once gives every request with an idempotency key one answer: the first is kept in the store,
// and later ones with the same key and content get it again, also those that come while it is made.
//
// An answer may hold a secret that is shown only once, so it is sealed with a key made from what only
// its caller knows: credential and idempotency key.
package once

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"muster"
)

// Store keeps the answers. PutOnce fails with muster.ErrConflict when the key is taken, SettleOnce writes
// over it, ForgetOnce frees it, Once gives what is there or muster.ErrNotFound.
type Store interface {
	PutOnce(ctx context.Context, account muster.AccountID, key string, body []byte, ttl time.Duration) error
	SettleOnce(ctx context.Context, account muster.AccountID, key string, body []byte, ttl time.Duration) error
	ForgetOnce(ctx context.Context, account muster.AccountID, key string) error
	Once(ctx context.Context, account muster.AccountID, key string) ([]byte, error)
}

var (
	// ErrOther says that the key was used for another request.
	ErrOther = fmt.Errorf("%w: the idempotency key was used for another request", muster.ErrInvalid)
	// ErrUnderWay says that the first request with this key is still worked on.
	ErrUnderWay = fmt.Errorf("%w: the first request with this idempotency key is under way", muster.ErrConflict)
)

// answerTTL is how long an answer is given again.
const answerTTL = 24 * time.Hour

// Keeper hands out turns. It is safe for use by many goroutines.
type Keeper struct {
	store   Store
	pending time.Duration
	mu      sync.Mutex
	held    map[string]*held
}

// held lets requests with one key wait for each other within this process.
type held struct {
	turn    chan struct{} // holds one value while nobody works
	waiting int
}

// New makes a keeper; longest is how long a request may take. A key whose server died is free again after twice that.
func New(store Store, longest time.Duration) *Keeper {
	return &Keeper{store: store, pending: 2 * longest, held: map[string]*held{}}
}

// Request is what a caller asks with a key.
type Request struct {
	Account      muster.AccountID
	Credential   string // the caller's secret
	Key          string
	Method, Path string
	Body         []byte
}

// Answer is what the first request got.
type Answer struct {
	Status int         `json:"status"`
	Header http.Header `json:"header"`
	Body   []byte      `json:"body"`
}

// kept is what the store holds under a key.
type kept struct {
	Asked  []byte `json:"asked"`            // SHA-256 of method, path and body
	Answer []byte `json:"answer,omitempty"` // sealed; absent while the work is under way
}

// Turn is the right to do a request's work. Release it in the end.
type Turn struct {
	keeper  *Keeper
	account muster.AccountID
	name    string // of the key in the store; differs by caller
	asked   []byte
	seal    cipher.AEAD
	release func()
}

// Begin waits for its turn, then takes the key: with a Turn the work is to be done, with an Answer it was.
// The error wraps ErrOther, ErrUnderWay, or is the store's.
func (k *Keeper) Begin(ctx context.Context, r *Request) (*Turn, *Answer, error) {
	t := k.turn(r)
	release, err := k.lock(ctx, t.account.String()+t.name)
	if err != nil {
		return nil, nil, err
	}
	t.release = release
	first, err := t.begin(ctx)
	if err != nil || first != nil {
		release()
		return nil, first, err
	}
	return t, nil, nil
}

func (k *Keeper) turn(r *Request) *Turn {
	derive := func(use string) []byte {
		h := hmac.New(sha256.New, []byte(r.Credential))
		h.Write([]byte(use + "\x00" + r.Key))
		return h.Sum(nil)
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s %s\x00", r.Method, r.Path)
	h.Write(r.Body)
	t := &Turn{keeper: k, account: r.Account, name: "rest-" + hex.EncodeToString(derive("muster idempotency name")[:16]), asked: h.Sum(nil)}
	block, err := aes.NewCipher(derive("muster idempotency seal"))
	if err == nil {
		t.seal, err = cipher.NewGCM(block)
	}
	if err != nil {
		panic(err) // a key of 32 bytes is always right
	}
	return t
}

// begin takes the key; the first answer comes back when there is one already.
func (t *Turn) begin(ctx context.Context) (*Answer, error) {
	mine, err := json.Marshal(kept{Asked: t.asked})
	if err != nil {
		return nil, err
	}
	for range 3 { // a key may end between the two looks
		err = t.keeper.store.PutOnce(ctx, t.account, t.name, mine, t.keeper.pending)
		if err == nil || !errors.Is(err, muster.ErrConflict) {
			return nil, err
		}
		raw, err := t.keeper.store.Once(ctx, t.account, t.name)
		if errors.Is(err, muster.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return t.open(raw)
	}
	return nil, fmt.Errorf("once: begin: %w: the key comes and goes", muster.ErrUnavailable)
}

// open reads what another request with this key left.
func (t *Turn) open(raw []byte) (*Answer, error) {
	var k kept
	if err := json.Unmarshal(raw, &k); err != nil {
		return nil, fmt.Errorf("once: read the first answer: %w", err)
	}
	if subtle.ConstantTimeCompare(k.Asked, t.asked) != 1 {
		return nil, fmt.Errorf("once: %w", ErrOther)
	}
	if len(k.Answer) == 0 {
		return nil, fmt.Errorf("once: %w", ErrUnderWay)
	}
	n := min(t.seal.NonceSize(), len(k.Answer))
	plain, err := t.seal.Open(nil, k.Answer[:n], k.Answer[n:], t.asked)
	if err != nil {
		return nil, fmt.Errorf("once: open the first answer: %w", err)
	}
	a := new(Answer)
	if err := json.Unmarshal(plain, a); err != nil {
		return nil, fmt.Errorf("once: read the first answer: %w", err)
	}
	return a, nil
}

// Settle keeps the answer.
func (t *Turn) Settle(ctx context.Context, a *Answer) error {
	plain, err := json.Marshal(a)
	if err != nil {
		return err
	}
	nonce := make([]byte, t.seal.NonceSize())
	rand.Read(nonce)
	raw, err := json.Marshal(kept{Asked: t.asked, Answer: t.seal.Seal(nonce, nonce, plain, t.asked)})
	if err != nil {
		return err
	}
	return t.keeper.store.SettleOnce(ctx, t.account, t.name, raw, answerTTL)
}

// Forget frees the key: the work was not done.
func (t *Turn) Forget(ctx context.Context) error {
	return t.keeper.store.ForgetOnce(ctx, t.account, t.name)
}

// Release lets the next one with this key have its turn.
func (t *Turn) Release() { t.release() }

// lock waits for the key; the returned func gives it back.
func (k *Keeper) lock(ctx context.Context, key string) (unlock func(), err error) {
	k.mu.Lock()
	h := k.held[key]
	if h == nil {
		h = &held{turn: make(chan struct{}, 1)}
		h.turn <- struct{}{}
		k.held[key] = h
	}
	h.waiting++
	k.mu.Unlock()
	leave := func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if h.waiting--; h.waiting == 0 {
			delete(k.held, key)
		}
	}
	select {
	case <-h.turn:
		return func() { h.turn <- struct{}{}; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
