// Command record writes what the host collector measures to a file of JSON lines, gzipped: the input
// of tests that need real metrics of a real hour. Nothing in it names the machine.
//
//	go run ./internal/check/host/testdata/record -for 1h -period 10s -to host-1h.jsonl.gz
package main

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"os/signal"
	"time"

	"muster"
	"muster/internal/check"
	"muster/internal/check/host"
)

type metric struct {
	Name  string            `json:"name"`
	Unit  string            `json:"unit"`
	Kind  string            `json:"kind"`
	Attrs map[string]string `json:"attrs,omitempty"`
}

type schemaLine struct {
	Schema []metric `json:"schema"`
}

type frameLine struct {
	At     int64      `json:"at"`
	Schema int        `json:"schema"`
	Values []*float64 `json:"values"`
}

func main() {
	span := flag.Duration("for", time.Hour, "how long")
	period := flag.Duration("period", 10*time.Second, "how often")
	to := flag.String("to", "host.jsonl.gz", "the file")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := record(ctx, *span, *period, *to); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func record(ctx context.Context, span, period time.Duration, to string) error {
	file, err := os.Create(to)
	if err != nil {
		return err
	}
	packed, err := gzip.NewWriterLevel(file, gzip.BestCompression)
	if err != nil {
		return err
	}
	out := json.NewEncoder(packed)
	collector := host.New(host.Options{})
	defer collector.Close()
	var sample check.Sample
	var last *muster.Schema
	number := -1
	end := time.Now().Add(span)
	for next := time.Now().Truncate(period).Add(period); next.Before(end) && ctx.Err() == nil; next = next.Add(period) {
		select {
		case <-ctx.Done():
			continue
		case <-time.After(time.Until(next)):
		}
		sample.Reset(time.Now())
		if err := collector.Collect(ctx, &sample); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		schema, values := sample.Frame()
		if last == nil || schema.ID != last.ID {
			last, number = schema, number+1
			if err := out.Encode(describe(schema)); err != nil {
				return err
			}
		}
		if err := out.Encode(line(sample.At(), number, values)); err != nil {
			return err
		}
		if err := packed.Flush(); err != nil {
			return err
		}
	}
	if err := packed.Close(); err != nil {
		return err
	}
	return file.Close()
}

func describe(schema *muster.Schema) schemaLine {
	var l schemaLine
	for _, m := range schema.Metrics {
		d := metric{Name: m.Name, Unit: m.Unit, Kind: m.Kind.String()}
		for _, a := range m.Attrs {
			if d.Attrs == nil {
				d.Attrs = map[string]string{}
			}
			d.Attrs[a.Key] = a.Value
		}
		l.Schema = append(l.Schema, d)
	}
	return l
}

func line(at time.Time, schema int, values []float64) frameLine {
	l := frameLine{At: at.UnixMilli(), Schema: schema, Values: make([]*float64, len(values))}
	for i := range values {
		if !math.IsNaN(values[i]) {
			v := values[i]
			l.Values[i] = &v
		}
	}
	return l
}
