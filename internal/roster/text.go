package roster

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"muster"
	"muster/internal/check"
)

// textBody is the body of a row of the stream "results/<check>": what a result said when its words or its
// status became others. The row's At is the instant of that result, its ID the zone; docs/format/store.md.
type textBody struct {
	Status   muster.CheckStatus `json:"status"`
	Since    int64              `json:"since"` // Unix ms: when this status began
	Summary  string             `json:"summary,omitempty"`
	Class    string             `json:"class,omitempty"`
	Error    string             `json:"error,omitempty"`
	Evidence json.RawMessage    `json:"evidence,omitempty"`
	Metrics  []string           `json:"metrics,omitempty"` // the names of what was measured beside status and duration
}

// maxNames bounds the metrics that are listed of a check.
const maxNames = 50

// textStream names the stream of a check's texts.
func textStream(id muster.CheckID) string { return "results/" + string(id) }

// row makes what is stored of the newest result of a view whose entry is locked.
func (v *view) row() StoredRow {
	b := textBody{
		Status: statusOf(v.status), Since: v.since, Summary: v.said.summary, Class: v.said.class, Error: v.said.err,
		Evidence: v.said.evidence, Metrics: v.plan.Names(),
	}
	b.Metrics = b.Metrics[:min(len(b.Metrics), maxNames)]
	body, _ := json.Marshal(b) // evidence was made by Marshal: it can't fail
	return StoredRow{At: v.at, ID: v.zone, Body: body}
}

// text is a stored row, read.
type text struct {
	zone    string
	at      int64
	since   int64
	status  uint8
	said    words
	metrics []string
}

// readText reads a row; the error wraps ErrInvalid.
func readText(row StoredRow) (text, error) {
	var b textBody
	if err := json.Unmarshal(row.Body, &b); err != nil {
		return text{}, fmt.Errorf("%w: a stored result of zone %.64q: %w", muster.ErrInvalid, row.ID, err)
	}
	t := text{zone: row.ID, at: row.At, since: b.Since, status: codeOf(b.Status), metrics: b.Metrics}
	t.said = words{summary: b.Summary, class: b.Class, err: b.Error, evidence: b.Evidence}
	if t.since <= 0 || t.since > t.at {
		t.since = t.at
	}
	return t, nil
}

// packEvidence keeps evidence in the form in which it takes the least room.
func packEvidence(evidence map[string]string) []byte {
	if len(evidence) == 0 {
		return nil
	}
	b, _ := json.Marshal(evidence) // texts can't fail
	return b
}

// openEvidence is the way back; what can't be read is left out.
func openEvidence(b []byte) map[string]string {
	if len(b) == 0 {
		return nil
	}
	var out map[string]string
	if json.Unmarshal(b, &out) != nil {
		return nil
	}
	return out
}

// apply puts the words into a result that has its status and duration.
func (w words) apply(res *muster.Result) {
	res.Class, res.Error, res.Evidence = w.class, w.err, openEvidence(w.evidence)
	res.Summary = w.summary
	if w.summary == "" {
		res.Summary = plainSummary(res.Status)
	}
	if w.class == "" && w.err == "" {
		res.Summary = timed(res.Summary, res.Duration)
	}
}

// plainSummary says what is known when there are no words.
func plainSummary(status muster.CheckStatus) string {
	switch status {
	case muster.StatusOK:
		return "ok"
	case muster.StatusWarning:
		return "warning"
	case muster.StatusCritical:
		return "failed"
	}
	return "could not be run"
}

// timed adds how long a run took to its summary, "HTTP 200 in 12 ms", unless a time stands there already.
func timed(summary string, took time.Duration) string {
	if took <= 0 {
		return summary
	}
	if at := strings.LastIndex(summary, " in "); at >= 0 && at+4 < len(summary) && summary[at+4] >= '0' && summary[at+4] <= '9' {
		return summary
	}
	return summary + " in " + check.Took(took)
}

// span writes a duration as people and the API do: "1m30s", "5m", never "5m0s".
func span(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}
