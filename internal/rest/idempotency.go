package rest

import (
	"bytes"
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
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"muster"
	"muster/api"
)

// How long an answer is given again, and how long a key stays taken when the server that worked on it
// dies. The second is longer than any request may take.
const (
	answerTTL  = 24 * time.Hour
	pendingTTL = 2 * requestTime
)

// maxKey is the longest idempotency key, in bytes.
const maxKey = 255

// kept is what the store holds under a key: what was asked, and the answer once there is one. An answer
// may hold a secret that is shown only once, so it is sealed with a key made from what only its caller
// knows: credential and idempotency key.
type kept struct {
	Asked  []byte `json:"asked"`            // SHA-256 of method, path and body
	Answer []byte `json:"answer,omitempty"` // sealed; absent while the work is under way
}

// given is the first answer.
type given struct {
	Status int         `json:"status"`
	Header http.Header `json:"header"`
	Body   []byte      `json:"body"`
}

// once does a POST with an idempotency key once: later ones with the same key and body get the first
// answer, also when they come while the first is under way.
func (a *API) once(ctx huma.Context, next func(huma.Context)) {
	key := ctx.Header(api.HeaderIdempotencyKey)
	if ctx.Method() != http.MethodPost || key == "" {
		next(ctx)
		return
	}
	if len(key) > maxKey {
		a.refuse(ctx, badField("header."+api.HeaderIdempotencyKey, "at most 255 bytes"))
		return
	}
	body, err := io.ReadAll(io.LimitReader(ctx.BodyReader(), maxBody+1))
	if err != nil || len(body) > maxBody {
		a.refuse(ctx, newFault(http.StatusRequestEntityTooLarge, fmt.Sprintf("A body may have at most %d bytes.", maxBody)))
		return
	}
	w := newWork(ctx, key, body)
	unlock, err := a.busy.lock(ctx.Context(), w.account.String()+w.name)
	if err != nil {
		a.refuse(ctx, err)
		return
	}
	defer unlock()
	first, err := a.begin(ctx.Context(), w)
	if err != nil {
		a.refuse(ctx, err)
		return
	}
	if first != nil {
		replay(ctx, first)
		return
	}
	a.work(ctx, w, next)
}

// work does the request and keeps its answer. An answer that says "try again" is not kept: the key is freed.
func (a *API) work(ctx huma.Context, w *work, next func(huma.Context)) {
	rec := &recorder{under: ctx, body: bytes.NewReader(w.body), got: given{Header: http.Header{}}}
	settled := false
	// The caller may be gone when the work is done; what was done is remembered all the same.
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx.Context()), requestTime)
	defer cancel()
	defer func() {
		if !settled { // also after a panic
			if err := a.o.Store.ForgetOnce(after, w.account, w.name); err != nil {
				a.log.WarnContext(after, "rest: free an idempotency key", "error", err)
			}
		}
	}()
	next(rec)
	if rec.got.Status == 0 || rec.got.Status >= 500 || rec.got.Status == http.StatusTooManyRequests {
		return
	}
	settled = true
	rec.got.Body = rec.buf.Bytes()
	if err := a.settle(after, w, rec.got); err != nil {
		a.log.WarnContext(after, "rest: keep an answer for its idempotency key", "error", err)
	}
}

// begin takes the key; the first answer comes back when there is one already.
func (a *API) begin(ctx context.Context, w *work) (*given, error) {
	mine, err := json.Marshal(kept{Asked: w.asked})
	if err != nil {
		return nil, err
	}
	for range 3 { // a key may end between the two looks
		err = a.o.Store.PutOnce(ctx, w.account, w.name, mine, pendingTTL)
		if err == nil || !errors.Is(err, muster.ErrConflict) {
			return nil, err
		}
		raw, err := a.o.Store.Once(ctx, w.account, w.name)
		if errors.Is(err, muster.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return w.open(raw)
	}
	return nil, fmt.Errorf("rest: idempotency key: %w: the key comes and goes", muster.ErrUnavailable)
}

// settle keeps the answer.
func (a *API) settle(ctx context.Context, w *work, g given) error {
	plain, err := json.Marshal(g)
	if err != nil {
		return err
	}
	nonce := make([]byte, w.seal.NonceSize())
	rand.Read(nonce)
	raw, err := json.Marshal(kept{Asked: w.asked, Answer: w.seal.Seal(nonce, nonce, plain, w.asked)})
	if err != nil {
		return err
	}
	return a.o.Store.SettleOnce(ctx, w.account, w.name, raw, answerTTL)
}

// work is one request with an idempotency key.
type work struct {
	account muster.AccountID
	name    string // of the key in the store; differs by caller
	asked   []byte
	seal    cipher.AEAD
	body    []byte
}

func newWork(ctx huma.Context, key string, body []byte) *work {
	c := who(ctx.Context())
	derive := func(use string) []byte {
		h := hmac.New(sha256.New, []byte(c.credential))
		h.Write([]byte(use + "\x00" + key))
		return h.Sum(nil)
	}
	u := ctx.URL()
	h := sha256.New()
	fmt.Fprintf(h, "%s %s\x00", ctx.Method(), u.Path)
	h.Write(body)
	w := &work{account: c.Account, name: "rest-" + hex.EncodeToString(derive("muster idempotency name")[:16]), asked: h.Sum(nil), body: body}
	block, err := aes.NewCipher(derive("muster idempotency seal"))
	if err == nil {
		w.seal, err = cipher.NewGCM(block)
	}
	if err != nil {
		panic(err) // a key of 32 bytes is always right
	}
	return w
}

// open reads what another request with this key left.
func (w *work) open(raw []byte) (*given, error) {
	var k kept
	if err := json.Unmarshal(raw, &k); err != nil {
		return nil, fmt.Errorf("rest: idempotency key: read the first answer: %w", err)
	}
	if subtle.ConstantTimeCompare(k.Asked, w.asked) != 1 {
		return nil, badField("header."+api.HeaderIdempotencyKey, "the key was used for another request; take a new one")
	}
	if len(k.Answer) == 0 {
		return nil, newFault(http.StatusConflict, "The first request with this key is still under way.").with("Retry-After", "1")
	}
	n := min(w.seal.NonceSize(), len(k.Answer))
	plain, err := w.seal.Open(nil, k.Answer[:n], k.Answer[n:], w.asked)
	if err != nil {
		return nil, fmt.Errorf("rest: idempotency key: open the first answer: %w", err)
	}
	g := new(given)
	if err := json.Unmarshal(plain, g); err != nil {
		return nil, fmt.Errorf("rest: idempotency key: read the first answer: %w", err)
	}
	return g, nil
}

func replay(ctx huma.Context, g *given) {
	for key, values := range g.Header {
		for _, v := range values {
			ctx.AppendHeader(key, v)
		}
	}
	ctx.SetHeader(api.HeaderReplayed, "true")
	ctx.SetStatus(g.Status)
	_, _ = ctx.BodyWriter().Write(g.Body)
}

// recorder passes an answer on and keeps a copy.
type recorder struct {
	under
	body io.Reader
	got  given
	buf  bytes.Buffer
}

// Unwrap gives the context below.
func (r *recorder) Unwrap() huma.Context { return r.under }

// BodyReader gives the request's body, which was read before.
func (r *recorder) BodyReader() io.Reader { return r.body }

// SetStatus notes the status.
func (r *recorder) SetStatus(code int) {
	r.got.Status = oneStatus(code)
	r.under.SetStatus(code)
}

// SetHeader notes the header.
func (r *recorder) SetHeader(name, value string) {
	r.got.Header.Set(name, value)
	r.under.SetHeader(name, value)
}

// AppendHeader notes the header.
func (r *recorder) AppendHeader(name, value string) {
	r.got.Header.Add(name, value)
	r.under.AppendHeader(name, value)
}

// BodyWriter notes what is written.
func (r *recorder) BodyWriter() io.Writer { return io.MultiWriter(&r.buf, r.under.BodyWriter()) }

// locks lets requests with one key wait for each other within this process.
type locks struct {
	mu   sync.Mutex
	held map[string]*held
}

type held struct {
	turn    chan struct{} // holds one value while nobody works
	waiting int
}

// lock waits for the key; the returned func gives it back.
func (l *locks) lock(ctx context.Context, key string) (unlock func(), err error) {
	l.mu.Lock()
	if l.held == nil {
		l.held = map[string]*held{}
	}
	h := l.held[key]
	if h == nil {
		h = &held{turn: make(chan struct{}, 1)}
		h.turn <- struct{}{}
		l.held[key] = h
	}
	h.waiting++
	l.mu.Unlock()
	leave := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if h.waiting--; h.waiting == 0 {
			delete(l.held, key)
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
