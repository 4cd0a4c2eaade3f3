package health

import (
	"muster/internal/series"
	"muster/internal/web/chart"
)

// panels gives the charts of the program, of those measurements that are there.
func panels(metrics []series.MetricNow) []chart.Panel {
	var out []chart.Panel
	add := func(p chart.Panel, of ...chart.Of) {
		if made, ok := chart.Custom(p, metrics, of...); ok {
			out = append(out, made)
		}
	}
	add(chart.Panel{ID: "samples", Title: "Ingest", Unit: "samples/s", Floor: 10, Now: chart.NowFirst, Note: "stored"},
		chart.Of{Metric: "muster_ingest_samples_total", Name: "stored"})
	add(chart.Panel{ID: "ack", Title: "Ack time", Unit: chart.Seconds, Now: chart.NowFirst, Note: "average"},
		chart.Of{Metric: "muster_gateway_ack_seconds_sum", Over: "muster_gateway_ack_seconds_count", Name: "to agents"},
		chart.Of{Metric: "muster_series_append_seconds_sum", Over: "muster_series_append_seconds_count", Name: "durable", Colour: 1},
		chart.Of{Metric: "muster_series_segment_write_seconds_sum", Over: "muster_series_segment_write_seconds_count", Name: "segment", Colour: 4})
	add(chart.Panel{ID: "connections", Title: "Agents connected", Unit: "", Floor: 2, Now: chart.NowFirst, Note: "agents"},
		chart.Of{Metric: "muster_gateway_connections", Name: "agents"})
	add(chart.Panel{ID: "segments", Title: "Segments", Unit: "/s", Floor: 1, Now: chart.NowFirst, Note: "written"},
		chart.Of{Metric: "muster_series_segments_total", Name: "written"}, chart.Of{Metric: "muster_series_segment_retries_total", Name: "retried", Colour: 3})
	add(chart.Panel{ID: "seal-lag", Title: "Seal lag", Unit: chart.Seconds, Floor: 60, Now: chart.NowFirst, Note: "behind"},
		chart.Of{Metric: "muster_series_seal_lag_seconds", Name: "oldest block"})
	add(chart.Panel{ID: "waiting", Title: "Queues", Unit: "", Floor: 4, Now: chart.NowMost},
		chart.Of{Metric: "muster_series_waiting_frames", Name: "frames"}, chart.Of{Metric: "muster_inventory_events_waiting", Name: "changelog", Colour: 1},
		chart.Of{Metric: "muster_series_dirty_hours", Name: "late hours", Colour: 3}, chart.Of{Metric: "muster_series_recovering_shards", Name: "recovering", Colour: 4})
	add(chart.Panel{ID: "heads", Title: "Heads in memory", Unit: chart.Bytes, Now: chart.NowFirst},
		chart.Of{Metric: "muster_series_head_bytes", Name: "heads"})
	// The built-in agent is part of this process: what it says of itself holds for the whole.
	add(chart.Panel{ID: "memory", Title: "Process memory", Unit: chart.Bytes, Now: chart.NowFirst, Note: "resident"},
		chart.Of{Metric: "muster.agent.memory.usage", Name: "resident"})
	add(chart.Panel{ID: "cpu", Title: "Process CPU", Unit: chart.Share, Floor: 0.05, Now: chart.NowFirst, Note: "of one core"},
		chart.Of{Metric: "muster.agent.cpu.time", Name: "all"})
	add(chart.Panel{ID: "store", Title: "Store", Unit: chart.Bytes, Now: chart.NowMost},
		chart.Of{Metric: "muster_series_disk_bytes", Name: "series"}, chart.Of{Metric: "muster_store_disk_bytes", Name: "documents", Colour: 1})
	add(chart.Panel{ID: "free", Title: "Disk free", Unit: chart.Bytes, Now: chart.NowFirst},
		chart.Of{Metric: "muster_disk_free_bytes", Name: "free"})
	add(chart.Panel{ID: "commits", Title: "Commits", Unit: chart.Seconds, Now: chart.NowMost},
		chart.Of{Metric: "muster_series_commit_seconds_sum", Over: "muster_series_commit_seconds_count", Name: "series"},
		chart.Of{Metric: "muster_store_commit_seconds_sum", Over: "muster_store_commit_seconds_count", Name: "documents", Colour: 1})
	add(chart.Panel{ID: "queries", Title: "Queries", Unit: chart.Seconds, Now: chart.NowMost},
		chart.Of{Metric: "muster_series_query_seconds_sum", Over: "muster_series_query_seconds_count", Name: "series"},
		chart.Of{Metric: "muster_rest_request_seconds_sum", Over: "muster_rest_request_seconds_count", Name: "API calls", Colour: 1})
	add(chart.Panel{ID: "refused", Title: "Refused and lost", Unit: "/s", Floor: 1, Now: chart.NowMost},
		chart.Of{Metric: "muster_ingest_frames_refused_total", Name: "refused"}, chart.Of{Metric: "muster_ingest_metrics_dropped_total", Name: "over the cap", Colour: 1},
		chart.Of{Metric: "muster_series_duplicate_frames_total", Name: "twice", Colour: 4}, chart.Of{Metric: "muster_series_late_frames_total", Name: "late", Colour: 3},
		chart.Of{Metric: "muster_inventory_events_dropped_total", Name: "log lost", Colour: 2})
	add(chart.Panel{ID: "open", Title: "Open pages and streams", Unit: "", Floor: 2, Now: chart.NowFirst, Note: "streams"},
		chart.Of{Metric: "muster_live_subscribers", Name: "streams"})
	return out
}
