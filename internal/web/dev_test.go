package web_test

import (
	"context"
	"net/http"
	"os"
	"strconv"
	"testing"
	"time"
)

// TestServe serves the pages with invented servers that move, for looking at them: it waits until the
// address in MUSTER_WEB_DEV ("127.0.0.1:8099") was asked for /quit, and is skipped when there is none.
// MUSTER_WEB_NODES says how many servers; sign in at /login/once.
func TestServe(t *testing.T) {
	address := os.Getenv("MUSTER_WEB_DEV")
	if address == "" {
		t.Skip("MUSTER_WEB_DEV gives no address")
	}
	count, err := strconv.Atoi(os.Getenv("MUSTER_WEB_NODES"))
	if err != nil {
		count = 300
	}
	var quiet []int
	for i := 41; i < count; i += 97 {
		quiet = append(quiet, i)
	}
	w := newWorld(t, count, quiet...)
	if count == 1 {
		w.auth.password = ""
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go w.move(ctx, count)
	go w.inv.Run(ctx)
	mux := http.NewServeMux()
	mux.Handle("/", w.handler)
	mux.HandleFunc("/quit", func(http.ResponseWriter, *http.Request) { cancel() })
	server := &http.Server{Addr: address, Handler: mux}
	context.AfterFunc(ctx, func() { server.Close() })
	t.Log(server.ListenAndServe())
}

// move lets every server tell its values every ten seconds, with a past of five minutes; some fall silent.
func (w *world) move(ctx context.Context, count int) {
	w.past()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case at := <-tick.C:
			for i := n % 100; i < count; i += 100 {
				if !w.quiet[i] {
					w.tell(i, at)
				}
			}
			if n == 1200 && count > 10 {
				w.quiet[5] = true
			}
		}
	}
}
