package live_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"muster"
	"muster/internal/live"
)

func nodeEvent(account muster.AccountID, node muster.NodeID, value any) live.Event {
	return live.Event{Account: account, Topic: live.TopicNodes, Kind: "node", Node: node, Data: func() any { return value }}
}

func next(t *testing.T, s *live.Subscription) []live.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	messages, err := s.Next(ctx)
	if err != nil {
		t.Fatalf("next: %v", err)
	}
	return messages
}

func values(messages []live.Message) []any {
	var out []any
	for _, m := range messages {
		out = append(out, m.Data)
	}
	return out
}

// nothing fails when the subscription has something to give.
func nothing(t *testing.T, s *live.Subscription) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if messages, err := s.Next(ctx); err == nil {
		t.Fatalf("got %v, want nothing", messages)
	}
}

func TestChangesOfOneNodeBecomeOne(t *testing.T) {
	h := live.New(live.Options{})
	account, a, b := muster.NewAccountID(), muster.NewNodeID(), muster.NewNodeID()
	s := h.Subscribe(account, live.Want{Topics: []string{live.TopicNodes}})
	defer s.Close()
	h.Publish(nodeEvent(account, a, 1))
	h.Publish(nodeEvent(account, b, 2))
	h.Publish(nodeEvent(account, a, 3))
	got := next(t, s)
	if !slices.Equal(values(got), []any{2, 3}) {
		t.Errorf("got %v, want b's 2 and a's newest, 3", values(got))
	}
	nothing(t, s)
}

func TestChangesOfOneKeyBecomeOne(t *testing.T) {
	h := live.New(live.Options{})
	account := muster.NewAccountID()
	s := h.Subscribe(account, live.Want{Topics: []string{live.TopicIncidents}})
	defer s.Close()
	tell := func(key string, value any) {
		h.Publish(live.Event{Account: account, Topic: live.TopicIncidents, Kind: "incident", Key: key, Data: func() any { return value }})
	}
	tell("a", 1)
	tell("b", 2)
	tell("a", 3)
	tell("", 4)
	tell("", 5) // without a key all are told
	if got := values(next(t, s)); !slices.Equal(got, []any{2, 3, 4, 5}) {
		t.Errorf("got %v", got)
	}
	nothing(t, s)
}

func TestValueIsFetchedWhenTaken(t *testing.T) {
	h := live.New(live.Options{})
	account, node := muster.NewAccountID(), muster.NewNodeID()
	s := h.Subscribe(account, live.Want{Topics: []string{live.TopicNodes}})
	defer s.Close()
	value, calls := any("old"), 0
	h.Publish(live.Event{Account: account, Topic: live.TopicNodes, Kind: "node", Node: node, Data: func() any { calls++; return value }})
	value = "new"
	if got := values(next(t, s)); !slices.Equal(got, []any{"new"}) || calls != 1 {
		t.Errorf("got %v after %d calls", got, calls)
	}
	h.Publish(nodeEvent(account, node, nil))
	nothing(t, s)
}

func TestNothingCrossesAccountsTopicsAndNodes(t *testing.T) {
	h := live.New(live.Options{})
	mine, other := muster.NewAccountID(), muster.NewAccountID()
	shown, hidden := muster.NewNodeID(), muster.NewNodeID()
	s := h.Subscribe(mine, live.Want{Topics: []string{live.TopicNodes}, Nodes: map[muster.NodeID]struct{}{shown: {}}})
	defer s.Close()
	foreign := h.Subscribe(other, live.Want{Topics: []string{live.TopicNodes, live.TopicEvents}})
	defer foreign.Close()
	h.Publish(nodeEvent(mine, hidden, "hidden"))
	h.Publish(nodeEvent(other, shown, "foreign"))
	h.Publish(live.Event{Account: mine, Topic: live.TopicEvents, Kind: "event", Data: func() any { return "event" }})
	nothing(t, s)
	h.Publish(nodeEvent(mine, shown, "shown"))
	if got := values(next(t, s)); !slices.Equal(got, []any{"shown"}) {
		t.Errorf("got %v", got)
	}
	if got := values(next(t, foreign)); !slices.Equal(got, []any{"foreign"}) {
		t.Errorf("the other account got %v", got)
	}
}

func TestSlowClientGetsOneResync(t *testing.T) {
	h := live.New(live.Options{Queue: 10})
	account := muster.NewAccountID()
	s := h.Subscribe(account, live.Want{Topics: []string{live.TopicNodes}})
	defer s.Close()
	for i := range 100 {
		h.Publish(nodeEvent(account, muster.NewNodeID(), i))
	}
	got := next(t, s)
	if len(got) != 1 || got[0].Kind != live.KindResync || got[0].ID == "" {
		t.Fatalf("got %v, want a single resync", got)
	}
	h.Publish(nodeEvent(account, muster.NewNodeID(), "after"))
	if got := values(next(t, s)); !slices.Equal(got, []any{"after"}) {
		t.Errorf("after the resync got %v", got)
	}
}

func TestResumeGivesWhatWasMissed(t *testing.T) {
	h := live.New(live.Options{})
	account := muster.NewAccountID()
	nodes := []muster.NodeID{muster.NewNodeID(), muster.NewNodeID(), muster.NewNodeID()}
	want := live.Want{Topics: []string{live.TopicNodes, live.TopicEvents}}
	s := h.Subscribe(account, want)
	want.LastID = s.Cursor()
	for i, n := range nodes {
		h.Publish(nodeEvent(account, n, i))
	}
	taken := next(t, s)
	s.Close()
	h.Publish(live.Event{Account: account, Topic: live.TopicEvents, Kind: "event", Data: func() any { return "a" }})
	h.Publish(nodeEvent(account, nodes[0], "again"))
	h.Publish(live.Event{Account: account, Topic: live.TopicEvents, Kind: "event", Data: func() any { return "b" }})

	all := h.Subscribe(account, want) // it saw nothing at all
	defer all.Close()
	if got := values(next(t, all)); !slices.Equal(got, []any{1, 2, "a", "again", "b"}) {
		t.Errorf("from the first cursor got %v", got)
	}
	want.LastID = taken[1].ID
	some := h.Subscribe(account, want)
	defer some.Close()
	if got := values(next(t, some)); !slices.Equal(got, []any{2, "a", "again", "b"}) {
		t.Errorf("from the second message got %v", got)
	}
	for _, strange := range []string{"x", "-1", "0badf00d-1", live.New(live.Options{}).Subscribe(account, want).Cursor(), some.Cursor() + "9"} {
		want.LastID = strange
		s := h.Subscribe(account, want)
		if got := next(t, s); len(got) != 1 || got[0].Kind != live.KindResync {
			t.Errorf("from %q got %v, want a resync", strange, got)
		}
		s.Close()
	}
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	h := live.New(live.Options{Remember: 50})
	account := muster.NewAccountID()
	want := live.Want{Topics: []string{live.TopicNodes}}
	s := h.Subscribe(account, want)
	defer s.Close()
	want.LastID = s.Cursor()
	for i := range 200 {
		h.Publish(nodeEvent(account, muster.NewNodeID(), i))
	}
	late := h.Subscribe(account, want)
	defer late.Close()
	if got := next(t, late); len(got) != 1 || got[0].Kind != live.KindResync {
		t.Errorf("got %d messages, want a resync", len(got))
	}
}

func TestAccountIsForgottenAfterItsLastSubscriber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := live.New(live.Options{Keep: time.Minute})
		account, node := muster.NewAccountID(), muster.NewNodeID()
		if h.Wanted(account) {
			t.Error("wanted before anybody came")
		}
		want := live.Want{Topics: []string{live.TopicNodes}}
		s := h.Subscribe(account, want)
		want.LastID = s.Cursor()
		s.Close()
		time.Sleep(30 * time.Second)
		h.Publish(nodeEvent(account, node, 1))
		back := h.Subscribe(account, want)
		if got := values(next(t, back)); !slices.Equal(got, []any{1}) {
			t.Errorf("within the time got %v", got)
		}
		back.Close()
		time.Sleep(2 * time.Minute)
		h.Publish(nodeEvent(account, node, 2))
		if h.Wanted(account) {
			t.Error("still wanted long after everybody left")
		}
		late := h.Subscribe(account, want)
		defer late.Close()
		if got := next(t, late); got[0].Kind != live.KindResync {
			t.Errorf("after the time got %v, want a resync", got)
		}
	})
}

func TestEnds(t *testing.T) {
	h := live.New(live.Options{MaxSubscribers: 1})
	account := muster.NewAccountID()
	s := h.Subscribe(account, live.Want{})
	second := h.Subscribe(account, live.Want{})
	if _, err := second.Next(t.Context()); !errors.Is(err, muster.ErrLimited) {
		t.Errorf("one too many: %v, want ErrLimited", err)
	}
	second.Close()
	h.Close()
	for range 2 {
		if _, err := s.Next(t.Context()); !errors.Is(err, muster.ErrUnavailable) {
			t.Errorf("after the hub was closed: %v, want ErrUnavailable", err)
		}
	}
	s.Close()
	if _, err := h.Subscribe(account, live.Want{}).Next(t.Context()); !errors.Is(err, muster.ErrUnavailable) {
		t.Errorf("a closed hub: %v, want ErrUnavailable", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	open := live.New(live.Options{}).Subscribe(account, live.Want{})
	if _, err := open.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled context: %v", err)
	}
}

// TestNothingIsLostUnderLoad has clients that come and go while others publish: whatever a client did not
// get as a message, it must get by resuming or a resync.
func TestNothingIsLostUnderLoad(t *testing.T) {
	h := live.New(live.Options{Queue: 20})
	account := muster.NewAccountID()
	nodes := make([]muster.NodeID, 30)
	for i := range nodes {
		nodes[i] = muster.NewNodeID()
	}
	var mu sync.Mutex
	current := map[muster.NodeID]int{}
	anchor := h.Subscribe(account, live.Want{})
	defer anchor.Close()
	stop := make(chan struct{})
	var publishers, clients sync.WaitGroup
	for p := range 3 {
		publishers.Go(func() {
			for i := range 2000 {
				n := nodes[(i*7+p)%len(nodes)]
				mu.Lock()
				current[n]++
				mu.Unlock()
				h.Publish(live.Event{Account: account, Topic: live.TopicNodes, Kind: "node", Node: n, Data: func() any {
					mu.Lock()
					defer mu.Unlock()
					return current[n]
				}})
			}
		})
	}
	for c := range 4 {
		clients.Go(func() {
			seen := map[muster.NodeID]int{}
			last := anchor.Cursor()
			for round := 0; ; round++ {
				ended := false
				select {
				case <-stop:
					ended = true
				default:
				}
				s := h.Subscribe(account, live.Want{Topics: []string{live.TopicNodes}, LastID: last})
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
				for range c + 1 {
					messages, err := s.Next(ctx)
					if err != nil {
						break
					}
					for _, m := range messages {
						last = m.ID
						if m.Kind == live.KindResync {
							mu.Lock()
							for n, v := range current {
								seen[n] = v
							}
							mu.Unlock()
							continue
						}
						seen[m.Node] = m.Data.(int)
					}
				}
				cancel()
				s.Close()
				if ended {
					break
				}
			}
			mu.Lock()
			defer mu.Unlock()
			for n, v := range current {
				if seen[n] != v {
					t.Errorf("client %d has %d of a node, want %d", c, seen[n], v)
				}
			}
		})
	}
	publishers.Wait()
	close(stop)
	clients.Wait()
}

func BenchmarkPublish(b *testing.B) {
	account, node := muster.NewAccountID(), muster.NewNodeID()
	for _, subscribers := range []int{0, 1, 100} {
		b.Run(fmt.Sprintf("subscribers=%d", subscribers), func(b *testing.B) {
			h := live.New(live.Options{})
			for range subscribers {
				h.Subscribe(account, live.Want{Topics: []string{live.TopicNodes}})
			}
			e := nodeEvent(account, node, 1)
			b.ReportAllocs()
			for b.Loop() {
				h.Publish(e)
			}
		})
	}
}
