package web_test

import (
	"testing"
	"time"
)

// BenchmarkPages serves pages of an account with 10,000 nodes, compressed, and says how much each weighs.
func BenchmarkPages(b *testing.B) {
	w := newWorld(b, 10000)
	for i := range w.store.nodes {
		w.tell(i, time.Now())
	}
	for name, path := range map[string]string{"nodes": "/nodes", "sorted": "/nodes?sort=-cpu", "filtered": "/nodes?q=bastion", "piece": "/nodes/rows?from=5000", "overview": "/", "now": "/overview/now"} {
		b.Run(name, func(b *testing.B) {
			size := 0
			for b.Loop() {
				got := w.ask("GET", path, "good", nil, "Accept-Encoding", "gzip")
				if got.Code != 200 {
					b.Fatal(got.Code)
				}
				size = got.Body.Len()
			}
			b.ReportMetric(float64(size), "bytes/page")
		})
	}
}
