package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	mrand "math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/snappy"
	"google.golang.org/protobuf/encoding/protowire"
)

// startWriters feeds a remote-write endpoint with what the same agents would have sent: one sender for
// each batch of agents, one request a period.
func startWriters(ctx context.Context, o options, m *meter) (wait func(), err error) {
	var running sync.WaitGroup
	labels := promLabels(o)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: o.agents}}
	for first := 0; first < o.agents; first += o.batch {
		w := &writer{o: o, meter: m, client: client, labels: labels, first: first}
		for i := first; i < min(first+o.batch, o.agents); i++ {
			w.hosts = append(w.hosts, newHost(uint64(i), o.metrics))
		}
		running.Go(func() { w.run(ctx) })
	}
	return running.Wait, nil
}

// promLabels gives the label pairs of every metric, coded, without the agent's own.
func promLabels(o options) [][]byte {
	var out [][]byte
	for _, d := range describe(o.metrics) {
		b := label(nil, "__name__", strings.ReplaceAll(d.Name, ".", "_"))
		for _, a := range d.Attrs {
			b = label(b, a.Key, a.Value)
		}
		out = append(out, b)
	}
	return out
}

func label(b []byte, name, value string) []byte {
	var pair []byte
	pair = protowire.AppendTag(pair, 1, protowire.BytesType)
	pair = protowire.AppendString(pair, name)
	pair = protowire.AppendTag(pair, 2, protowire.BytesType)
	pair = protowire.AppendString(pair, value)
	b = protowire.AppendTag(b, 1, protowire.BytesType)
	return protowire.AppendBytes(b, pair)
}

type writer struct {
	o      options
	meter  *meter
	client *http.Client
	labels [][]byte
	first  int // number of the first agent
	hosts  []*host

	plain, series, sample, packed []byte
}

func (w *writer) run(ctx context.Context) {
	timer := time.NewTimer(mrand.N(w.o.period))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			timer.Reset(w.o.period)
			start := time.Now()
			if err := w.post(ctx, w.encode(start.UnixMilli())); err != nil {
				if ctx.Err() == nil {
					w.meter.failed(err)
				}
				continue
			}
			w.meter.acked(len(w.hosts)*w.o.metrics, time.Since(start))
		}
	}
}

// encode writes a prometheus.WriteRequest (version 1), compressed with snappy.
func (w *writer) encode(at int64) []byte {
	w.plain = w.plain[:0]
	for i, h := range w.hosts {
		who := label(nil, "node", fmt.Sprintf("load-%05d", w.first+i))
		for j, v := range h.next() {
			w.sample = protowire.AppendTag(w.sample[:0], 1, protowire.Fixed64Type)
			w.sample = protowire.AppendFixed64(w.sample, math.Float64bits(v))
			w.sample = protowire.AppendTag(w.sample, 2, protowire.VarintType)
			w.sample = protowire.AppendVarint(w.sample, uint64(at))
			w.series = append(append(w.series[:0], w.labels[j]...), who...)
			w.series = protowire.AppendTag(w.series, 2, protowire.BytesType)
			w.series = protowire.AppendBytes(w.series, w.sample)
			w.plain = protowire.AppendTag(w.plain, 1, protowire.BytesType)
			w.plain = protowire.AppendBytes(w.plain, w.series)
		}
	}
	w.packed = snappy.Encode(w.packed[:cap(w.packed)], w.plain)
	return w.packed
}

func (w *writer) post(ctx context.Context, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.o.write, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("Content-Encoding", "snappy")
	req.Header.Set("X-Prometheus-Remote-Write-Version", "0.1.0")
	res, err := w.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(res.Body, 300))
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("remote write: %s: %s", res.Status, said)
	}
	return nil
}
