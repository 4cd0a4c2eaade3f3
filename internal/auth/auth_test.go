package auth_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"muster"
	"muster/internal/auth"
	"muster/internal/store"
	"muster/internal/store/storetest"
	"muster/internal/telemetry"
)

// watched is a store that counts reads and can be made to fail.
type watched struct {
	*store.Store
	reads, writes atomic.Int64
	down          atomic.Bool
}

var errDown = fmt.Errorf("%w: injected", muster.ErrUnavailable)

func (w *watched) User(ctx context.Context, account muster.AccountID, id muster.UserID) (*muster.User, error) {
	w.reads.Add(1)
	if w.down.Load() {
		return nil, errDown
	}
	return w.Store.User(ctx, account, id)
}

func (w *watched) TokenByHash(ctx context.Context, hash []byte) (*muster.Token, error) {
	w.reads.Add(1)
	if w.down.Load() {
		return nil, errDown
	}
	return w.Store.TokenByHash(ctx, hash)
}

func (w *watched) UpdateToken(ctx context.Context, account muster.AccountID, id muster.TokenID, rev uint64, fn func(*muster.Token) error) (*muster.Token, error) {
	w.writes.Add(1)
	if w.down.Load() {
		return nil, errDown
	}
	return w.Store.UpdateToken(ctx, account, id, rev, fn)
}

// house is a service over a store with one account and one admin.
type house struct {
	*auth.Service
	store *watched
	clock *storetest.Clock
	ada   *muster.User
	log   *bytes.Buffer

	mu   sync.Mutex
	told []muster.Event
}

const right = "correct horse"

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{clock: storetest.NewClock(), log: &bytes.Buffer{}}
	h.store = &watched{Store: store.New(storetest.NewMemory(h.clock.Now), store.Options{Now: h.clock.Now})}
	h.Service = h.service()
	account := &muster.Account{Name: "Home", Spread: 1}
	check(t, h.store.CreateAccount(t.Context(), account))
	h.ada = &muster.User{Account: account.ID, Name: "Ada", Role: muster.Admin}
	check(t, h.store.CreateUser(t.Context(), h.ada))
	return h
}

// service makes another service over the same store, as a second server is.
func (h *house) service() *auth.Service {
	return auth.New(h.store, auth.Options{Now: h.clock.Now, Telemetry: telemetry.New(), Logger: slog.New(slog.NewTextHandler(h.log, nil)), Tell: func(_ context.Context, e muster.Event) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.told = append(h.told, e)
	}})
}

// first signs Ada in by a one-time code.
func (h *house) first(t *testing.T) (cookie string, id auth.Identity) {
	t.Helper()
	code, err := h.NewOneTime(t.Context(), h.ada.Account, h.ada.ID)
	check(t, err)
	cookie, id, err = h.Redeem(t.Context(), code)
	check(t, err)
	return cookie, id
}

func (h *house) withPassword(t *testing.T) (cookie string, id auth.Identity) {
	t.Helper()
	cookie, id = h.first(t)
	check(t, h.SetPassword(t.Context(), id, "", right))
	return cookie, id
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("got %v, want an error of the kind %q", err, kind)
	}
}

func (h *house) alive(t *testing.T, cookie string) bool {
	t.Helper()
	_, _, err := h.Session(t.Context(), cookie)
	if err != nil {
		want(t, err, muster.ErrDenied)
	}
	return err == nil
}

func TestTheFirstMinute(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	code, err := h.NewOneTime(t.Context(), h.ada.Account, h.ada.ID)
	check(t, err)
	cookie, id, err := h.Redeem(t.Context(), code)
	check(t, err)
	if id.Name != "Ada" || id.Role != muster.Admin || id.User != h.ada.ID || id.Account != h.ada.Account || id.Actor() != string(h.ada.ID) {
		t.Fatalf("the identity is %+v", id)
	}
	_, _, err = h.Redeem(t.Context(), code)
	want(t, err, muster.ErrDenied)
	if h.HasPassword(t.Context(), id) {
		t.Error("a password is there before one was chosen")
	}
	got, csrf, err := h.Session(t.Context(), cookie)
	check(t, err)
	if got != id {
		t.Errorf("the session is of %+v, want %+v", got, id)
	}
	check(t, h.SetPassword(t.Context(), got, "ignored", right))
	if !h.HasPassword(t.Context(), id) {
		t.Error("the chosen password is not there")
	}
	if !h.alive(t, cookie) {
		t.Error("the session that chose the password ended by it")
	}
	if !h.CheckCSRF(cookie, csrf) {
		t.Error("the page's token ended with the choice of a password")
	}
	_, id, err = h.SignIn(t.Context(), "ada", right, "192.0.2.1:999")
	check(t, err)
	if id.User != h.ada.ID {
		t.Errorf("signed in as %+v", id)
	}
	var kinds []string
	for _, e := range h.told {
		kinds = append(kinds, e.Kind)
	}
	if got := strings.Join(kinds, " "); got != "user.signed_in user.password_changed user.signed_in" {
		t.Errorf("told: %s", got)
	}
}

func TestOneTimeCodes(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	code := func() string {
		code, err := h.NewOneTime(t.Context(), h.ada.Account, h.ada.ID)
		check(t, err)
		return code
	}
	redeem := func(code string) error {
		_, _, err := h.Redeem(t.Context(), code)
		return err
	}
	old := code()
	h.clock.Move(13 * time.Hour)
	want(t, redeem(old), muster.ErrDenied)
	want(t, redeem(""), muster.ErrDenied)
	want(t, redeem(strings.Repeat("x", 43)), muster.ErrDenied)

	one := code()
	h.store.down.Store(true)
	want(t, redeem(one), muster.ErrUnavailable)
	h.store.down.Store(false)
	check(t, redeem(one)) // nobody had got in by it

	var won atomic.Int64
	many := code()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if redeem(many) == nil {
				won.Add(1)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 {
		t.Errorf("one code opened %d sessions", won.Load())
	}
	for range 1000 {
		if _, err := h.NewOneTime(t.Context(), h.ada.Account, h.ada.ID); err != nil {
			t.Fatal(err)
		}
	}
	_, err := h.NewOneTime(t.Context(), h.ada.Account, h.ada.ID)
	want(t, err, muster.ErrLimited)
	h.clock.Move(13 * time.Hour)
	check(t, redeem(code()))
	lost := code()
	check(t, h.store.DeleteUser(t.Context(), h.ada.Account, h.ada.ID, 0))
	want(t, redeem(lost), muster.ErrDenied)
}

func TestSessionsSlideAndEnd(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const day = 24 * time.Hour
	cookie, _ := h.first(t)
	idle, _ := h.first(t)
	for range 5 {
		h.clock.Move(20 * day)
		if !h.alive(t, cookie) {
			t.Fatal("a session in use ended")
		}
	}
	if h.alive(t, idle) {
		t.Error("a session that nobody used lives for ever")
	}
	h.clock.Move(31 * day)
	if h.alive(t, cookie) {
		t.Error("a session lives longer than 30 days after its last use")
	}
	cookie, _ = h.first(t)
	check(t, h.SignOut(t.Context(), cookie))
	check(t, h.SignOut(t.Context(), cookie))
	check(t, h.SignOut(t.Context(), "nonsense"))
	if h.alive(t, cookie) || h.alive(t, "") || h.alive(t, strings.Repeat("A", 43)) {
		t.Error("a session that is none is believed")
	}
}

func TestSessionsFollowTheirUser(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	mine, id := h.withPassword(t)
	other, _, err := h.SignIn(t.Context(), "Ada", right, "")
	check(t, err)
	if !h.alive(t, other) {
		t.Fatal("the second session is not there")
	}
	check(t, h.SetPassword(t.Context(), id, right, "another one"))
	if h.alive(t, other) || !h.alive(t, mine) {
		t.Error("a new password ends all other sessions and not one's own")
	}
	_, err = h.store.UpdateUser(t.Context(), h.ada.Account, h.ada.ID, 0, func(u *muster.User) error { u.Role = muster.Observer; return nil })
	check(t, err)
	role := func() muster.Role {
		got, _, err := h.Session(t.Context(), mine)
		check(t, err)
		return got.Role
	}
	h.Forget(h.ada.Account, h.ada.ID, "")
	if role() != muster.Observer {
		t.Error("a new role is not seen after Forget")
	}
	_, err = h.store.UpdateUser(t.Context(), h.ada.Account, h.ada.ID, 0, func(u *muster.User) error { u.Role = muster.Operator; return nil })
	check(t, err)
	h.clock.Move(11 * time.Second)
	if role() != muster.Operator {
		t.Error("a new role that another server gave is not seen after a while")
	}
	check(t, h.store.DeleteUser(t.Context(), h.ada.Account, h.ada.ID, 0))
	h.Forget(h.ada.Account, h.ada.ID, "")
	if h.alive(t, mine) {
		t.Error("a deleted user still has a session")
	}
}

func TestSessionsAreCached(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	cookie, _ := h.first(t)
	before := h.store.reads.Load()
	for range 100 {
		if !h.alive(t, cookie) {
			t.Fatal("the session is not there")
		}
	}
	if got := h.store.reads.Load() - before; got != 1 {
		t.Errorf("100 looks at a session made %d reads", got)
	}
	h.store.down.Store(true)
	h.clock.Move(time.Minute)
	_, _, err := h.Session(t.Context(), cookie)
	want(t, err, muster.ErrUnavailable) // and not "sign in"
}

func TestCSRF(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	one, _ := h.first(t)
	two, _ := h.first(t)
	_, token, err := h.Session(t.Context(), one)
	check(t, err)
	if !h.CheckCSRF(one, token) || !h.service().CheckCSRF(one, token) {
		t.Error("the right token is refused")
	}
	for _, c := range [][2]string{{two, token}, {one, ""}, {one, token + "x"}, {"", token}, {one, one}} {
		if h.CheckCSRF(c[0], c[1]) {
			t.Errorf("%q passes for the session %q", c[1], c[0])
		}
	}
	if strings.Contains(token, one) {
		t.Error("the token shows the cookie")
	}
}

func TestWrongPasswords(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, _, err := h.SignIn(t.Context(), "Ada", "", "")
	want(t, err, muster.ErrDenied) // no password was chosen: none is right
	h.withPassword(t)
	texts := map[string]bool{}
	for _, c := range [][2]string{{"Ada", "wrong"}, {"Ada", ""}, {"nobody", right}, {"", ""}, {"Ada", strings.Repeat("x", 5000)}} {
		_, _, err := h.SignIn(t.Context(), c[0], c[1], "")
		want(t, err, muster.ErrDenied)
		texts[err.Error()] = true
	}
	if len(texts) != 1 {
		t.Errorf("the answers tell names apart: %v", texts)
	}
	_, id := h.first(t)
	want(t, h.SetPassword(t.Context(), id, "wrong", "long enough"), muster.ErrDenied)
	want(t, h.SetPassword(t.Context(), id, right, "short"), muster.ErrInvalid)
	want(t, h.SetPassword(t.Context(), id, right, strings.Repeat("x", 2000)), muster.ErrInvalid)
	want(t, h.SetPassword(t.Context(), auth.Identity{Account: id.Account, Token: "token_1"}, "", "long enough"), muster.ErrDenied)
	user, err := h.store.User(t.Context(), h.ada.Account, h.ada.ID)
	check(t, err)
	if !strings.HasPrefix(user.PasswordHash, "$argon2id$v=19$m=19456,t=2,p=1$") || strings.Contains(user.PasswordHash, right) {
		t.Errorf("the password is kept as %q", user.PasswordHash)
	}
}

func TestAttemptsAreLimited(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.withPassword(t)
	attempt := func(name, password, remote string) error {
		_, _, err := h.SignIn(t.Context(), name, password, remote)
		return err
	}
	for i := range 10 {
		want(t, attempt("ada", "wrong", fmt.Sprintf("192.0.2.%d:1", i)), muster.ErrDenied)
	}
	err := attempt("ADA", right, "192.0.2.99:1")
	want(t, err, muster.ErrLimited)
	var limited *auth.LimitedError
	if !errors.As(err, &limited) || limited.After <= 0 || limited.After > 30*time.Second {
		t.Fatalf("the error is %v", err)
	}
	h.clock.Move(limited.After)
	for range 30 { // what succeeds costs nothing
		check(t, attempt("ada", right, "192.0.2.100:1"))
	}

	var denied int
	for i := range 40 { // many names from one network
		if err := attempt(fmt.Sprint("name", i), "x", fmt.Sprintf("[2001:db8::%x]:1", i)); errors.Is(err, muster.ErrDenied) {
			denied++
		} else {
			want(t, err, muster.ErrLimited)
		}
	}
	if denied != 20 {
		t.Errorf("%d attempts from one network were looked at, want 20", denied)
	}
	want(t, attempt("elsewhere", "x", "[2001:db8:0:1::1]:1"), muster.ErrDenied)

	_, id := h.first(t)
	for range 10 {
		want(t, h.SetPassword(t.Context(), id, "wrong", "long enough"), muster.ErrDenied)
	}
	want(t, h.SetPassword(t.Context(), id, right, "long enough"), muster.ErrLimited)
}

func TestTokens(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, ada := h.first(t)
	token, secret, err := h.NewToken(t.Context(), ada, "ci", muster.Operator)
	check(t, err)
	if sum := sha256.Sum256([]byte(secret)); !bytes.Equal(token.SecretHash, sum[:]) || len(secret) < 43 || !strings.HasPrefix(secret, "mst_") {
		t.Fatalf("the secret %q does not have the hash %x", secret, token.SecretHash)
	}
	id, err := h.Bearer(t.Context(), secret)
	check(t, err)
	if (id != auth.Identity{Account: ada.Account, Token: token.ID, Name: "ci", Role: muster.Operator}) || id.Actor() != string(token.ID) {
		t.Fatalf("the identity is %+v", id)
	}
	for _, wrong := range []string{"", "mst_", secret + "x", secret[:len(secret)-1], strings.Repeat("x", 10_000)} {
		_, err := h.Bearer(t.Context(), wrong)
		want(t, err, muster.ErrDenied)
	}
	_, _, err = h.NewToken(t.Context(), id, "more", muster.Observer)
	want(t, err, muster.ErrDenied) // an operator may not
	_, _, err = h.NewToken(t.Context(), ada, "odd", "owner")
	want(t, err, muster.ErrInvalid)

	second := h.service()
	_, err = second.Bearer(t.Context(), secret)
	check(t, err)
	want(t, h.RevokeToken(t.Context(), id, token.ID), muster.ErrDenied)
	check(t, h.RevokeToken(t.Context(), ada, token.ID))
	_, err = h.Bearer(t.Context(), secret)
	want(t, err, muster.ErrDenied)
	h.clock.Move(11 * time.Second)
	_, err = second.Bearer(t.Context(), secret)
	want(t, err, muster.ErrDenied)
}

func TestTokenUseIsWrittenOnceAMinute(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, ada := h.first(t)
	token, secret, err := h.NewToken(t.Context(), ada, "ci", muster.Operator)
	check(t, err)
	reads := h.store.reads.Load()
	begun := h.clock.Now()
	for range 121 { // two minutes, a use each second, by several at once
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if _, err := h.Bearer(t.Context(), secret); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		h.clock.Move(time.Second)
	}
	if got := h.store.writes.Load(); got != 3 {
		t.Errorf("two minutes of use made %d writes, want 3", got)
	}
	if got := h.store.reads.Load() - reads; got > 13*4 {
		t.Errorf("484 uses made %d reads", got)
	}
	got, err := h.store.Token(t.Context(), ada.Account, token.ID)
	check(t, err)
	if !got.LastUsedAt.Equal(begun.Add(2 * time.Minute)) {
		t.Errorf("last used at %v, want %v", got.LastUsedAt, begun.Add(2*time.Minute))
	}
	h.clock.Move(9 * time.Second) // still believed, the use can't be written down
	if _, err := h.Bearer(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	h.clock.Move(time.Minute)
	h.store.down.Store(true)
	_, err = h.Bearer(t.Context(), secret)
	want(t, err, muster.ErrUnavailable)
}

func TestAdoptedTokens(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for range 2 {
		check(t, h.AdoptToken(t.Context(), h.ada.Account, "bootstrap", muster.Admin, "from outside"))
	}
	id, err := h.Bearer(t.Context(), "from outside")
	check(t, err)
	if id.Role != muster.Admin || id.Account != h.ada.Account {
		t.Fatalf("the identity is %+v", id)
	}
	if all, err := h.store.Tokens(t.Context(), h.ada.Account); err != nil || len(all) != 1 {
		t.Errorf("adopting twice made %d tokens, %v", len(all), err)
	}
	want(t, h.AdoptToken(t.Context(), muster.NewAccountID(), "bootstrap", muster.Admin, "from outside"), muster.ErrConflict)
	want(t, h.AdoptToken(t.Context(), h.ada.Account, "bootstrap", muster.Admin, ""), muster.ErrInvalid)
	if !strings.Contains(h.log.String(), "short") || strings.Contains(h.log.String(), "from outside") {
		t.Errorf("the log warns of a short token and does not show it: %s", h.log.String())
	}
}

func BenchmarkBearer(b *testing.B) {
	s := store.New(storetest.NewMemory(nil), store.Options{})
	service := auth.New(s, auth.Options{})
	account := muster.NewAccountID()
	if err := service.AdoptToken(b.Context(), account, "bench", muster.Admin, "a secret of more than twenty characters"); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := service.Bearer(b.Context(), "a secret of more than twenty characters"); err != nil {
				b.Fatal(err)
			}
		}
	})
}
