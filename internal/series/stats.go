package series

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"muster"
	"muster/internal/series/engine"
	"muster/internal/telemetry"
)

// Stats tells how the DB is.
type Stats struct {
	Nodes          int           // nodes with a head in memory
	HeadBytes      int64         // what the heads occupy, by count of their buffers
	OpenBlocks     int           // windows not sealed yet
	Frames         uint64        // stored since the start
	Samples        uint64        // stored since the start
	Duplicates     uint64        // frames dropped because they were known
	Late           uint64        // frames that came after their block was sealed or their hour built
	Segments       uint64        // written since the start
	Corrupt        uint64        // segments, blocks and tiles that could not be read
	SealLag        time.Duration // by how much the oldest block that should be sealed, and can't be, is late
	Dirty          int           // hours of shards that wait for a rebuild
	Waiting        int           // frames that wait for their segment
	Recovering     int           // shards whose heads are not complete yet
	StoreBytes     int64         // what the engine occupies; 0 when it can't tell
	BytesPerSample float64       // of the blocks sealed since the start; 0 while there are none
}

// telling is where the DB counts.
type telling struct {
	frames, samples, doubles, late, refused *telemetry.Counter
	segments, segmentBytes, retries         *telemetry.Counter
	blocks, blockBytes, blockSamples        *telemetry.Counter
	rebuiltBlocks, corrupt, faults          *telemetry.Counter
	appendSeconds, writeSeconds             *telemetry.Histogram
	querySeconds                            *telemetry.Histogram
	lag                                     *atomic.Int64
	size                                    *sizeCache
}

// sizeCache keeps the sums over all heads for a moment: several gauges ask at once.
type sizeCache struct {
	mu   sync.Mutex
	at   time.Time
	size headSize
}

type headSize struct {
	nodes, windows, dirty, recovering int
	bytes                             int64
}

func newTelling(db *DB, set *telemetry.Set) telling {
	t := telling{
		frames: set.Counter("muster_series_frames_total"), samples: set.Counter("muster_series_samples_total"),
		doubles: set.Counter("muster_series_duplicate_frames_total"), late: set.Counter("muster_series_late_frames_total"),
		refused: set.Counter("muster_series_refused_frames_total"), segments: set.Counter("muster_series_segments_total"),
		segmentBytes: set.Counter("muster_series_segment_bytes_total"), retries: set.Counter("muster_series_segment_retries_total"),
		blocks: set.Counter("muster_series_blocks_total"), blockBytes: set.Counter("muster_series_block_bytes_total"),
		blockSamples: set.Counter("muster_series_block_samples_total"), rebuiltBlocks: set.Counter("muster_series_rebuilt_blocks_total"),
		corrupt: set.Counter("muster_series_corrupt_total"), faults: set.Counter("muster_series_faults_total"),
		appendSeconds: set.Histogram("muster_series_append_seconds"), writeSeconds: set.Histogram("muster_series_segment_write_seconds"),
		querySeconds: set.Histogram("muster_series_query_seconds"),
		lag:          &atomic.Int64{}, size: &sizeCache{},
	}
	set.Gauge("muster_series_seal_lag_seconds", func() float64 { return time.Duration(t.lag.Load()).Seconds() })
	set.Gauge("muster_series_waiting_frames", func() float64 { return float64(db.journal.Waiting()) })
	set.Gauge("muster_series_nodes", func() float64 { return float64(db.headSize().nodes) })
	set.Gauge("muster_series_open_blocks", func() float64 { return float64(db.headSize().windows) })
	set.Gauge("muster_series_head_bytes", func() float64 { return float64(db.headSize().bytes) })
	set.Gauge("muster_series_dirty_hours", func() float64 { return float64(db.headSize().dirty) })
	set.Gauge("muster_series_recovering_shards", func() float64 { return float64(db.headSize().recovering) })
	return t
}

func (t *telling) sealed(bytes, samples int) {
	t.blocks.Inc()
	t.blockBytes.Add(bytes)
	t.blockSamples.Add(samples)
}

// Stats tells how the DB is.
func (db *DB) Stats() Stats {
	size := db.headSize()
	s := Stats{
		Nodes: size.nodes, HeadBytes: size.bytes, OpenBlocks: size.windows, Dirty: size.dirty, Recovering: size.recovering,
		Frames: db.tell.frames.Get(), Samples: db.tell.samples.Get(), Duplicates: db.tell.doubles.Get(), Late: db.tell.late.Get(),
		Segments: db.tell.segments.Get(), Corrupt: db.tell.corrupt.Get(), SealLag: time.Duration(db.tell.lag.Load()), Waiting: db.journal.Waiting(),
	}
	if sizer, ok := db.engine.(Sizer); ok {
		s.StoreBytes = sizer.Size()
	}
	if n := db.tell.blockSamples.Get(); n > 0 {
		s.BytesPerSample = float64(db.tell.blockBytes.Get()) / float64(n)
	}
	return s
}

// headSize sums over all heads, at most once a second.
func (db *DB) headSize() headSize {
	c := db.tell.size
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); c.at.IsZero() || now.Sub(c.at) >= time.Second {
		c.at, c.size = now, headSize{}
		for _, s := range db.shards {
			s.addSize(&c.size)
		}
	}
	return c.size
}

func (s *shard) addSize(sum *headSize) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stage == reading {
		sum.recovering++
	}
	waiting, _ := s.calendar.Waiting()
	sum.dirty += waiting
	for _, n := range s.nodes {
		held := 0
		for _, src := range n.Sources {
			sum.bytes += src.Bytes()
			sum.windows += len(src.Windows())
			_, _, last := src.Newest()
			held += len(src.Windows()) + len(last)
		}
		if held > 0 {
			sum.nodes++
		}
	}
}

// prices remembers what a node was found to occupy.
type prices struct {
	mu   sync.Mutex
	at   time.Time
	cost map[string]int64
}

// Classes lists the classes of retention with what they cost here: measured on the blocks and tiles of
// some nodes over the last day, at most every ten minutes.
func (db *DB) Classes() []Class {
	out := append([]Class(nil), db.o.Classes...)
	db.prices.mu.Lock()
	defer db.prices.mu.Unlock()
	if now := db.o.Now(); db.prices.cost == nil || now.Sub(db.prices.at) > 10*time.Minute {
		ctx, stop := context.WithTimeout(db.life, 5*time.Second)
		defer stop()
		m := db.measure(ctx, now.UnixMilli())
		db.prices.at, db.prices.cost = now, map[string]int64{}
		for _, c := range out {
			db.prices.cost[c.Name] = m.Cost(c)
		}
	}
	for i := range out {
		out[i].BytesPerNodeYear = db.prices.cost[out[i].Name]
	}
	return out
}

// measure looks at the sealed blocks of a few nodes, and at the tiles of their shards.
func (db *DB) measure(ctx context.Context, now int64) (m engine.Growth) {
	const look = 8
	var bytes, ms int64
	var five, hour tileCost
	looked := 0
	for _, s := range db.shards {
		keys := s.keys()
		for _, k := range keys[:min(len(keys), 2)] {
			if looked++; looked > look {
				break
			}
			b, d := db.measureBlocks(ctx, k, now)
			bytes, ms = bytes+b, ms+d
			five.add(db.measureTiles(ctx, s, k, FiveMinutes, now))
			hour.add(db.measureTiles(ctx, s, k, OneHour, now))
		}
	}
	if ms > 0 {
		m.Raw = float64(bytes) / float64(ms) * 1000
	}
	m.FiveMinutes, m.OneHour = five.rate(), hour.rate()
	if m.OneHour == 0 {
		m.OneHour = m.FiveMinutes / 12 // no day is over yet
	}
	return m
}

func (db *DB) measureBlocks(ctx context.Context, k nodeKey, now int64) (bytes, ms int64) {
	for _, class := range db.o.Classes {
		r := engine.BlockRange{Class: class.Name, Account: k.account, Node: k.node, From: now - dayMs, To: now}
		_ = db.scanNewest(ctx, r, func(b *engine.Block, isSealed bool, length int64, _ []byte) error {
			if isSealed {
				bytes += int64(len(b.Data))
				if b.Source == muster.HostSource {
					ms += length
				}
			}
			return nil
		})
	}
	return bytes, ms
}

// tileCost sums tiles: their bytes, and the seconds of nodes they hold.
type tileCost struct{ bytes, seconds float64 }

func (c *tileCost) add(other tileCost) {
	c.bytes += other.bytes
	c.seconds += other.seconds
}

func (c *tileCost) rate() float64 {
	if c.seconds == 0 {
		return 0
	}
	return c.bytes / c.seconds
}

// measureTiles sums the newest tiles of all metrics of a node's part of its shard.
func (db *DB) measureTiles(ctx context.Context, s *shard, k nodeKey, res engine.Resolution, now int64) (c tileCost) {
	names, err := s.metricNames(ctx, []nodeKey{k})
	if err != nil {
		return c
	}
	groups, _ := s.accountNodes()
	nodes := float64(len(groups[k.account]))
	span := res.Span().Milliseconds()
	spans := map[int64]bool{}
	for _, name := range names {
		r := engine.TileRange{Class: db.className(k.account), Res: res, Account: k.account, Metric: name, Shard: s.id, From: now - now%span - 2*span, To: now}
		_ = db.engine.ScanTiles(ctx, r, func(t *engine.Tile) error {
			c.bytes += float64(len(t.Data))
			spans[t.Start] = true
			return nil
		})
	}
	c.seconds = nodes * float64(len(spans)) * res.Span().Seconds()
	return c
}
