package rest_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"

	"muster"
	"muster/api"
)

func keyed(key string) map[string]string { return map[string]string{api.HeaderIdempotencyKey: key} }

func TestSameKeyGivesTheFirstAnswer(t *testing.T) {
	w := newWorld(t)
	post := call{method: "POST", path: api.PathEnrollments, token: w.adminToken, body: `{"uses":2}`, header: keyed("k1")}
	first, body := w.call(post)
	again, same := w.call(post)
	if first.StatusCode != 201 || again.StatusCode != 201 || body != same {
		t.Errorf("%d %s, then %d %s", first.StatusCode, body, again.StatusCode, same)
	}
	if again.Header.Get("Location") == "" || again.Header.Get("Location") != first.Header.Get("Location") || again.Header.Get("ETag") != first.Header.Get("ETag") {
		t.Errorf("headers differ: %v, %v", first.Header, again.Header)
	}
	if again.Header.Get(api.HeaderReplayed) != "true" || first.Header.Get(api.HeaderReplayed) != "" {
		t.Error("the second answer does not say that it is one")
	}
	if w.nodes.made != 1 {
		t.Errorf("it was done %d times", w.nodes.made)
	}
	post.body = `{"uses":3}`
	if resp, body := w.call(post); resp.StatusCode != 422 {
		t.Errorf("the same key for something else: %d %s", resp.StatusCode, body)
	}
	post.body = `{"uses":2}`
	post.path = api.PathTokens
	if resp, _ := w.call(post); resp.StatusCode != 422 {
		t.Errorf("the same key for another path: %d", resp.StatusCode)
	}
}

func TestKeysOfTwoCallersAreTwoKeys(t *testing.T) {
	w := newWorld(t)
	other := w.token(w.mine, muster.Admin)
	foreign := w.token(w.theirs, muster.Admin)
	seen := map[string]bool{}
	for _, token := range []string{w.adminToken, other, foreign} {
		_, body := w.call(call{method: "POST", path: api.PathEnrollments, token: token, body: `{}`, header: keyed("k1")})
		seen[body] = true
	}
	if len(seen) != 3 || w.nodes.made != 3 {
		t.Errorf("%d answers, %d made", len(seen), w.nodes.made)
	}
}

func TestConcurrentRequestsWithOneKeyDoTheWorkOnce(t *testing.T) {
	w := newWorld(t)
	w.nodes.hold = make(chan struct{})
	const callers = 20
	answers := make([]string, callers)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			resp, body := w.call(call{method: "POST", path: api.PathEnrollments, token: w.adminToken, body: `{}`, header: keyed("k1")})
			if resp.StatusCode != 201 {
				t.Errorf("%d %s", resp.StatusCode, body)
			}
			answers[i] = body
		})
	}
	close(w.nodes.hold)
	wg.Wait()
	for _, a := range answers {
		if a != answers[0] {
			t.Fatalf("two answers: %s %s", a, answers[0])
		}
	}
	if w.nodes.made != 1 {
		t.Errorf("it was done %d times", w.nodes.made)
	}
}

func TestAnotherServerIsStillAtWork(t *testing.T) {
	w := newWorld(t)
	post := call{method: "POST", path: api.PathEnrollments, token: w.adminToken, body: `{}`, header: keyed("k1")}
	w.call(post)
	for key, raw := range w.store.once { // as it is before the answer is there
		var kept map[string]any
		if err := json.Unmarshal(raw, &kept); err != nil {
			t.Fatal(err)
		}
		delete(kept, "answer")
		w.store.once[key], _ = json.Marshal(kept)
	}
	resp, body := w.call(post)
	if resp.StatusCode != 409 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

func TestFailuresThatMayPassFreeTheKey(t *testing.T) {
	w := newWorld(t)
	w.nodes.fail = fakeErr(muster.ErrUnavailable, "the disk is full")
	post := call{method: "POST", path: api.PathEnrollments, token: w.adminToken, body: `{}`, header: keyed("k1")}
	if resp, _ := w.call(post); resp.StatusCode != 503 {
		t.Fatalf("%d", resp.StatusCode)
	}
	w.nodes.fail = nil
	if resp, body := w.call(post); resp.StatusCode != 201 {
		t.Errorf("trying again: %d %s", resp.StatusCode, body)
	}
	bad := call{method: "POST", path: api.PathEnrollments, token: w.adminToken, body: `{"uses":0}`, header: keyed("k2")}
	first, body := w.call(bad)
	again, same := w.call(bad)
	if first.StatusCode != 422 || again.StatusCode != 422 || body != same || again.Header.Get(api.HeaderReplayed) == "" {
		t.Errorf("a refusal is an answer too: %d %s, %d %s", first.StatusCode, body, again.StatusCode, same)
	}
	w.store.fail = fakeErr(muster.ErrUnavailable, "away")
	if resp, _ := w.call(call{method: "POST", path: api.PathEnrollments, token: w.adminToken, body: `{}`, header: keyed("k3")}); resp.StatusCode != 503 {
		t.Errorf("a store that can't take the key: %d", resp.StatusCode)
	}
}

func TestStoredAnswersDoNotShowSecrets(t *testing.T) {
	w := newWorld(t)
	resp, body := w.call(call{method: "POST", path: api.PathTokens, token: w.adminToken, body: `{"name":"ci"}`, header: keyed("k1")})
	var tok api.Token
	if err := json.Unmarshal([]byte(body), &tok); err != nil || resp.StatusCode != 201 || tok.Secret == "" || tok.Role != "observer" {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	if len(w.store.once) != 1 {
		t.Fatalf("%d answers kept", len(w.store.once))
	}
	for key, raw := range w.store.once {
		if strings.Contains(string(raw), tok.Secret) || strings.Contains(key, "k1") || strings.Contains(string(raw), "secret") {
			t.Errorf("what is kept can be read: %s %s", key, raw)
		}
	}
}

func TestLongKeysAndBodies(t *testing.T) {
	w := newWorld(t)
	if resp, _ := w.call(call{method: "POST", path: api.PathEnrollments, token: w.adminToken, body: `{}`, header: keyed(strings.Repeat("k", 256))}); resp.StatusCode != 422 {
		t.Errorf("a long key: %d", resp.StatusCode)
	}
	huge := `{"ttl":"` + strings.Repeat("x", 1<<20) + `"}`
	if resp, _ := w.call(call{method: "POST", path: api.PathEnrollments, token: w.adminToken, body: huge, header: keyed("k")}); resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a long body: %d", resp.StatusCode)
	}
}
