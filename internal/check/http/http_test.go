package http_test

import (
	"context"
	"fmt"
	nethttp "net/http"
	"net/http/httptest"
	"testing"
	"time"

	"muster/internal/check"
	"muster/internal/check/http"
)

func TestSmoke(t *testing.T) {
	s := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) { fmt.Fprintln(w, "hello") }))
	defer s.Close()
	p, err := http.New().Parse([]byte(`{"url":"` + s.URL + `","body_match":"h(?P<rest>.*)o"}`))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var out check.Outcome
	p.Run(ctx, &check.Env{}, &out)
	fmt.Printf("%s\n%+v\n", p.Config(), out)
	for _, r := range out.Readings {
		fmt.Println(r.Metric.Name, r.Value)
	}
	p, err = http.New().Parse([]byte(`{"url":"x","foo":1,"method":3}`))
	fmt.Println(err)
}

func BenchmarkPlain(b *testing.B) {
	s := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) { fmt.Fprintln(w, "hello") }))
	defer s.Close()
	p, _ := http.New().Parse([]byte(`{"url":"` + s.URL + `"}`))
	b.ReportAllocs()
	for b.Loop() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		var out check.Outcome
		p.Run(ctx, &check.Env{}, &out)
		cancel()
	}
}
