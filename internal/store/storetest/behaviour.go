package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"muster"
	"muster/internal/store"
)

func hash(n byte) []byte { return bytes.Repeat([]byte{n}, 32) }

func node(in muster.AccountID, name string, key byte) *muster.Node {
	return &muster.Node{Account: in, Name: name, AgentKey: hash(key)}
}

func same[T any](t *testing.T, got, wanted *T, err error) {
	t.Helper()
	must(t, err)
	if !reflect.DeepEqual(got, wanted) {
		t.Fatalf("read back\n%+v, want\n%+v", got, wanted)
	}
}

func nouns(t *testing.T, s *store.Store, clock *Clock) {
	a := &muster.Account{Name: "Home", Spread: 64, Retention: "standard"}
	must(t, s.CreateAccount(ctx(t), a))
	gotAccount, err := s.Account(ctx(t), a.ID)
	same(t, gotAccount, a, err)
	if all, err := s.Accounts(ctx(t)); err != nil || len(all) != 1 || all[0].ID != a.ID {
		t.Fatalf("the accounts are %v, %v", all, err)
	}

	u := &muster.User{Account: a.ID, Name: "Ada", Role: muster.Admin, PasswordHash: "$argon2id$"}
	must(t, s.CreateUser(ctx(t), u))
	gotUser, err := s.User(ctx(t), a.ID, u.ID)
	same(t, gotUser, u, err)
	gotUser, err = s.UserByName(ctx(t), "aDA")
	same(t, gotUser, u, err)

	k := &muster.Token{Account: a.ID, Name: "ci", Role: muster.Observer, SecretHash: hash(1), LastUsedAt: clock.Now()}
	must(t, s.CreateToken(ctx(t), k))
	gotToken, err := s.TokenByHash(ctx(t), hash(1))
	same(t, gotToken, k, err)
	gotToken, err = s.Token(ctx(t), a.ID, k.ID)
	same(t, gotToken, k, err)

	n := &muster.Node{
		Account: a.ID, Name: "web1", Hostname: "web1.example", Addresses: []string{"192.0.2.1", "2001:db8::1"}, Tags: []string{"env=prod", "web"},
		Star: true, Colour: "teal", Notes: "**hi** <b>", Facts: map[string]string{"os.type": "linux"}, AgentKey: hash(9), AgentVersion: "1.0",
		Period: 10 * time.Second, Farewell: muster.Farewell{Reason: muster.FarewellStop, At: clock.Now()},
	}
	must(t, s.CreateNode(ctx(t), n))
	gotNode, err := s.Node(ctx(t), a.ID, n.ID)
	same(t, gotNode, n, err)
	gotNode, err = s.NodeByKey(ctx(t), hash(9))
	same(t, gotNode, n, err)
	gotNode, err = s.NodeByName(ctx(t), a.ID, "WEB1")
	same(t, gotNode, n, err)
	if n.Rev != 1 || !n.CreatedAt.Equal(clock.Now()) || n.UpdatedAt != n.CreatedAt {
		t.Fatalf("a new node has rev %d, times %v and %v", n.Rev, n.CreatedAt, n.UpdatedAt)
	}
	_, err = s.Node(ctx(t), account(9), n.ID)
	want(t, err, muster.ErrNotFound)

	for _, bad := range []error{
		s.CreateNode(ctx(t), node(a.ID, "", 2)), s.CreateNode(ctx(t), node(a.ID, " x", 2)), s.CreateNode(ctx(t), node(a.ID, "a\nb", 2)),
		s.CreateToken(ctx(t), &muster.Token{Account: a.ID, Name: "x", SecretHash: []byte("short")}), s.CreateAccount(ctx(t), &muster.Account{Name: "x"}),
	} {
		want(t, bad, muster.ErrInvalid)
	}

	must(t, s.DeleteNode(ctx(t), a.ID, n.ID, 1))
	want(t, s.DeleteNode(ctx(t), a.ID, n.ID, 0), muster.ErrNotFound)
	_, err = s.Node(ctx(t), a.ID, n.ID)
	want(t, err, muster.ErrNotFound)
	_, err = s.NodeByKey(ctx(t), hash(9))
	want(t, err, muster.ErrNotFound)
	if all, err := s.Nodes(ctx(t), a.ID); err != nil || len(all) != 0 {
		t.Fatalf("after the deletion there are %v, %v", all, err)
	}
	must(t, s.DeleteToken(ctx(t), a.ID, k.ID, 0))
	_, err = s.TokenByHash(ctx(t), hash(1))
	want(t, err, muster.ErrNotFound)
	must(t, s.DeleteUser(ctx(t), a.ID, u.ID, 0))
	_, err = s.UserByName(ctx(t), "Ada")
	want(t, err, muster.ErrNotFound)
}

func uniqueNames(t *testing.T, s *store.Store, clock *Clock) {
	one, two := node(account(1), "web1", 1), node(account(1), "web2", 2)
	must(t, s.CreateNode(ctx(t), one))
	must(t, s.CreateNode(ctx(t), two))
	must(t, s.CreateNode(ctx(t), node(account(2), "web1", 3))) // another account's names are its own
	want(t, s.CreateNode(ctx(t), node(account(1), "Web1", 4)), muster.ErrConflict)
	want(t, s.CreateNode(ctx(t), node(account(2), "other", 1)), muster.ErrConflict) // keys are everybody's
	must(t, s.CreateNode(ctx(t), node(account(2), "other", 4)))                     // what failed holds nothing

	rename := func(n *muster.Node, to string) error {
		_, err := s.UpdateNode(ctx(t), n.Account, n.ID, 0, func(n *muster.Node) error { n.Name = to; return nil })
		return err
	}
	want(t, rename(two, "web1"), muster.ErrConflict)
	must(t, rename(one, "db1"))
	must(t, rename(two, "web1"))
	must(t, rename(two, "WEB1"))
	got, err := s.NodeByName(ctx(t), account(1), "web1")
	must(t, err)
	if got.ID != two.ID || got.Name != "WEB1" {
		t.Fatalf("web1 is %v %q", got.ID, got.Name)
	}
	_, err = s.NodeByName(ctx(t), account(1), "web2")
	want(t, err, muster.ErrNotFound)
	must(t, s.DeleteNode(ctx(t), account(1), two.ID, 0))
	must(t, s.CreateNode(ctx(t), node(account(1), "web1", 2))) // name and key are free again
	clock.Move(time.Hour)
	want(t, s.CreateNode(ctx(t), node(account(1), "web1", 7)), muster.ErrConflict)
}

func revisions(t *testing.T, s *store.Store, clock *Clock) {
	n := node(account(1), "web1", 1)
	must(t, s.CreateNode(ctx(t), n))
	clock.Move(time.Minute)
	star := func(n *muster.Node) error { n.Star = true; return nil }
	got, err := s.UpdateNode(ctx(t), n.Account, n.ID, 1, star)
	must(t, err)
	if got.Rev != 2 || !got.Star || !got.UpdatedAt.Equal(clock.Now()) || got.CreatedAt != n.CreatedAt {
		t.Fatalf("after the update: %+v", got)
	}
	_, err = s.UpdateNode(ctx(t), n.Account, n.ID, 1, star)
	want(t, err, muster.ErrConflict)
	got, err = s.UpdateNode(ctx(t), n.Account, n.ID, 2, func(n *muster.Node) error { n.Star, n.Rev, n.CreatedAt = true, 77, time.Time{}; return nil })
	must(t, err)
	if got.Rev != 2 || got.CreatedAt != n.CreatedAt {
		t.Fatalf("an update that changes nothing gave %+v", got)
	}
	mine := errors.New("mine")
	_, err = s.UpdateNode(ctx(t), n.Account, n.ID, 0, func(*muster.Node) error { return mine })
	want(t, err, mine)
	_, err = s.UpdateNode(ctx(t), n.Account, n.ID, 0, func(n *muster.Node) error { n.ID = muster.NewNodeID(); return nil })
	want(t, err, muster.ErrInvalid)
	_, err = s.UpdateNode(ctx(t), n.Account, muster.NewNodeID(), 0, star)
	want(t, err, muster.ErrNotFound)
	want(t, s.DeleteNode(ctx(t), n.Account, n.ID, 1), muster.ErrConflict)
	big := func(n *muster.Node) error { n.Notes = string(make([]byte, 2<<20)); return nil }
	_, err = s.UpdateNode(ctx(t), n.Account, n.ID, 0, big)
	want(t, err, muster.ErrLimited)

	a := &muster.Account{Name: "Home", Spread: 2}
	must(t, s.CreateAccount(ctx(t), a))
	want(t, s.CreateAccount(ctx(t), a), muster.ErrConflict)
	_, err = s.UpdateAccount(ctx(t), a.ID, 0, func(a *muster.Account) error { a.Spread = 3; return nil })
	want(t, err, muster.ErrInvalid)
}

func enrollments(t *testing.T, s *store.Store, clock *Clock) {
	make := func(n byte, uses int) *muster.Enrollment {
		t.Helper()
		e := &muster.Enrollment{Account: account(1), SecretHash: hash(n), UsesLeft: uses, ExpiresAt: clock.Now().Add(time.Hour)}
		must(t, s.CreateEnrollment(ctx(t), e))
		return e
	}
	e := make(1, 2)
	got, err := s.EnrollmentByHash(ctx(t), hash(1))
	same(t, got, e, err)
	got, err = s.Enrollment(ctx(t), account(1), e.ID)
	same(t, got, e, err)
	agent := byte(100)
	use := func(n byte) (muster.Enrollment, error) {
		agent++
		return s.UseEnrollment(ctx(t), hash(n), hash(agent), clock.Now())
	}
	for left := 1; left >= 0; left-- {
		used, err := use(1)
		must(t, err)
		if used.UsesLeft != left || used.ID != e.ID {
			t.Fatalf("after a use: %+v", used)
		}
	}
	_, err = use(1)
	want(t, err, muster.ErrDenied)
	if again, err := s.UseEnrollment(ctx(t), hash(1), hash(101), clock.Now()); err != nil || again.UsesLeft != 0 || len(again.Uses) != 2 {
		t.Fatalf("an agent that used it a moment ago gets %+v, %v", again, err)
	}
	clock.Move(10 * time.Minute)
	_, err = s.UseEnrollment(ctx(t), hash(1), hash(101), clock.Now())
	want(t, err, muster.ErrDenied)
	_, err = use(99)
	want(t, err, muster.ErrDenied)
	make(2, 1)
	clock.Move(time.Hour)
	_, err = use(2)
	want(t, err, muster.ErrDenied)
	gone := make(3, 1)
	must(t, s.DeleteEnrollment(ctx(t), account(1), gone.ID, 0))
	_, err = use(3)
	want(t, err, muster.ErrDenied)
	if all, err := s.Enrollments(ctx(t), account(1)); err != nil || len(all) != 2 {
		t.Fatalf("there are %d enrolments, %v", len(all), err)
	}
	clock.Move(8 * 24 * time.Hour) // they are forgotten
	if all, err := s.Enrollments(ctx(t), account(1)); err != nil || len(all) != 0 {
		t.Fatalf("there are still %d enrolments, %v", len(all), err)
	}
	_, err = s.EnrollmentByHash(ctx(t), hash(1))
	want(t, err, muster.ErrNotFound)
}

func changelog(t *testing.T, s *store.Store, clock *Clock) {
	const n = 25
	for i := range n {
		must(t, s.AppendEvents(ctx(t), []muster.Event{{Account: account(1), At: clock.Now(), Kind: "node.changed", Actor: "agent", Subject: "node_x", Name: "web1", Text: fmt.Sprint(i)}}))
		if i%3 == 0 {
			clock.Move(time.Second)
		}
	}
	twice := muster.Event{ID: "event_same", Account: account(2), At: clock.Now(), Kind: "node.joined"}
	must(t, s.AppendEvents(ctx(t), []muster.Event{twice, twice}))
	must(t, s.AppendEvents(ctx(t), []muster.Event{twice}))
	if got, _, err := s.Events(ctx(t), account(2), "", 10); err != nil || len(got) != 1 || got[0] != twice {
		t.Fatalf("what was told twice reads as %+v, %v", got, err)
	}
	seen, before := map[string]bool{}, ""
	for pages := 0; ; pages++ {
		page, next, err := s.Events(ctx(t), account(1), before, 10)
		must(t, err)
		for i, e := range page {
			if seen[e.Text] || i > 0 && e.At.After(page[i-1].At) {
				t.Fatalf("%+v is out of order or came twice", e)
			}
			seen[e.Text] = true
		}
		if next == "" {
			break
		}
		before = next
	}
	if len(seen) != n {
		t.Fatalf("the pages held %d events of %d", len(seen), n)
	}
	_, _, err := s.Events(ctx(t), account(1), "made up", 10)
	want(t, err, muster.ErrInvalid)
	must(t, s.AppendEvents(ctx(t), nil))
}

func values(t *testing.T, s *store.Store, clock *Clock) {
	must(t, s.PutSession(ctx(t), hash(1), []byte("me"), time.Hour))
	body, err := s.Session(ctx(t), hash(1))
	if must(t, err); string(body) != "me" {
		t.Fatalf("the session reads %q", body)
	}
	must(t, s.DeleteSession(ctx(t), hash(1)))
	_, err = s.Session(ctx(t), hash(1))
	want(t, err, muster.ErrNotFound)

	must(t, s.PutOnce(ctx(t), account(1), "k", []byte("first"), time.Hour))
	want(t, s.PutOnce(ctx(t), account(1), "k", []byte("second"), time.Hour), muster.ErrConflict)
	must(t, s.PutOnce(ctx(t), account(2), "k", []byte("other"), time.Hour))
	must(t, s.SettleOnce(ctx(t), account(1), "k", []byte("answer"), time.Hour))
	body, err = s.Once(ctx(t), account(1), "k")
	if must(t, err); string(body) != "answer" {
		t.Fatalf("once reads %q", body)
	}
	must(t, s.ForgetOnce(ctx(t), account(1), "k"))
	must(t, s.ForgetOnce(ctx(t), account(1), "k"))
	_, err = s.Once(ctx(t), account(1), "k")
	want(t, err, muster.ErrNotFound)
	must(t, s.PutOnce(ctx(t), account(1), "k", []byte("again"), time.Hour))
	clock.Move(25 * time.Hour)
	must(t, s.PutOnce(ctx(t), account(1), "k", []byte("next day"), time.Hour))

	_, err = s.Secret(ctx(t), "ca")
	want(t, err, muster.ErrNotFound)
	made := func(text string) func() ([]byte, error) { return func() ([]byte, error) { return []byte(text), nil } }
	for _, text := range []string{"one", "two"} {
		body, err = s.MakeSecret(ctx(t), "ca", made(text))
		if must(t, err); string(body) != "one" {
			t.Fatalf("the secret is %q", body)
		}
	}
	for i := range 40 { // far more often than an object remembers changes
		must(t, s.PutSecret(ctx(t), "ca", fmt.Appendf(nil, "v%d", i)))
	}
	body, err = s.Secret(ctx(t), "ca")
	if must(t, err); string(body) != "v39" {
		t.Fatalf("the secret is %q", body)
	}
}
