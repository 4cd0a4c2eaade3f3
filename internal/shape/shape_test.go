package shape_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"muster"
	"muster/api"
	"muster/internal/shape"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

var (
	at      = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	node    = muster.NodeID{0x01, 0x8f, 15: 0xbb}
	metric  = &muster.Metric{Name: "http.duration", Unit: "s", Kind: muster.Gauge}
	checked = muster.Check{
		ID: "check_1", Rev: 3, Name: "site", Kind: "http", Node: node, Config: []byte(`{"url":"https://example.org/"}`), Target: "https://example.org/",
		Period: 10 * time.Second, Timeout: 5 * time.Second, Zones: []string{"local"}, Enabled: true, CreatedAt: at, UpdatedAt: at,
	}
	result = muster.Result{
		Check: "check_1", Zone: "local", At: at, Status: muster.StatusCritical, Summary: "HTTP 502 in 12 ms", Duration: 12345 * time.Microsecond,
		Metrics: []muster.Reading{{Metric: metric, Value: 0.012}, {Metric: metric, Value: math.NaN()}}, Class: "status", Error: "502, expected 200-299", Evidence: map[string]string{"http.status": "502"},
	}
	alarm = muster.Alarm{
		ID: "alarm_1", Rev: 2, Name: "memory", Query: "tag:web", Node: node, Check: "check_1", Metric: "system.memory.utilization", Attrs: map[string]string{"a": "b"},
		Condition: &muster.Condition{Fn: muster.FnForecast, Within: 24 * time.Hour, Op: ">", Value: 0.95, For: 5 * time.Minute, Recover: muster.Recovery{Op: "<", Value: 0.9, For: 2 * time.Minute}},
		NoData:    muster.NoData{After: time.Minute, Is: muster.NoDataKeep}, Level: muster.LevelWarning, Channels: []muster.ChannelID{"channel_1"}, Enabled: true, BuiltIn: "memory", CreatedAt: at, UpdatedAt: at,
	}
	transition = muster.Transition{
		ID: "t1", At: at, Alarm: "alarm_1", Name: "memory", Subject: node, Check: "check_1", Series: "x=y", From: muster.AlarmOK, To: muster.AlarmFiring, Level: muster.LevelWarning,
		Why: "97 %", Inputs: []muster.Input{{At: at, Value: 0.97}, {At: at, Value: math.NaN(), Text: "nothing"}},
	}
	incident = muster.Incident{
		ID: "incident_1", State: muster.IncidentAcknowledged, Level: muster.LevelWarning, Title: "web · memory", Subject: node, Node: node, Check: "check_1", Alarm: "alarm_1",
		OpenedAt: at, AcknowledgedAt: at.Add(time.Minute), AcknowledgedBy: "user_1", UpdatedAt: at.Add(time.Minute),
		Open:        []muster.Firing{{Alarm: "alarm_1", Name: "memory", Series: "x=y", Check: "check_1", Level: muster.LevelWarning, Since: at, Why: "97 %"}},
		Transitions: []muster.Transition{transition}, Comments: []muster.Comment{{At: at, By: "user_1", Name: "Ada", Text: "on it"}}, Cut: 4,
	}
	delivery = muster.Delivery{Message: "message_1", Incident: "incident_1", Type: "incident.opened", Channel: "channel_1", Name: "ops", At: at, Attempt: 2, Status: muster.DeliveryWaiting, Error: "refused", Next: at.Add(time.Second)}
	channel  = muster.Channel{ID: "channel_1", Rev: 1, Name: "ops", Kind: "webhook", Config: []byte(`{"url":"https://example.org/"}`), Sealed: []byte("secret"), Default: true, Fallback: "channel_2", Disabled: "gone", CreatedAt: at, UpdatedAt: at}
	quiet    = muster.Suppression{
		ID: "suppression_1", Rev: 1, Name: "nights", Query: "*", Node: node, Check: "check_1", Alarm: "alarm_1", From: at, Length: 8 * time.Hour,
		Rule: "FREQ=DAILY", Zone: "Europe/Berlin", Reason: "backups", By: "user_1", CreatedAt: at, UpdatedAt: at,
	}
)

// The shapes are what programs outside rely on.
func TestShapes(t *testing.T) {
	var got bytes.Buffer
	for _, v := range []any{
		shape.Node(&muster.Node{ID: node, Rev: 1, Name: "web", AgentKey: []byte{1}, Unwatched: true, CreatedAt: at, UpdatedAt: at}, &muster.NodeNow{State: muster.Up, CPU: 0.5, Memory: math.NaN()}),
		shape.Check(&checked, muster.StatusCritical, at, []muster.Result{result}, ""), shape.Result(&result), shape.Alarm(&alarm, 2, 5*time.Minute+2*time.Second),
		shape.Incident(&incident, []muster.Delivery{delivery}), shape.Incident(&muster.Incident{ID: "incident_2"}, nil), shape.Channel(&channel),
		shape.Suppression(&quiet, at.Add(time.Hour), time.Time{}),
	} {
		enc := json.NewEncoder(&got)
		enc.SetIndent("", "  ")
		if err := enc.Encode(v); err != nil {
			t.Fatal(err)
		}
	}
	const file = "testdata/shapes.golden"
	if *rewrite {
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%v; the shapes are now\n%s", err, got.Bytes())
	}
	if strings.Contains(got.String(), "secret\"") || strings.Contains(got.String(), "c2VjcmV0") {
		t.Error("a secret is shown")
	}
}

// What people say of an object comes back when it is read again: a merge patch changes nothing else.
func TestReadWhatIsSaid(t *testing.T) {
	said := shape.CheckNew(&checked)
	c, faults := shape.ReadCheck(&said)
	if len(faults) > 0 || c.Name != checked.Name || c.Node != node || c.Period != checked.Period || c.Timeout != checked.Timeout || !bytes.Equal(c.Config, checked.Config) || !c.Enabled {
		t.Errorf("check %+v, %v", c, faults)
	}
	alarmSaid := shape.AlarmNew(&alarm)
	a, faults := shape.ReadAlarm(&alarmSaid)
	want := alarm
	want.ID, want.Rev, want.BuiltIn, want.CreatedAt, want.UpdatedAt = "", 0, "", time.Time{}, time.Time{}
	if len(faults) > 0 || !reflect.DeepEqual(*a, want) {
		t.Errorf("alarm %+v, %v, want %+v", a, faults, want)
	}
	quietSaid := shape.SuppressionNew(&quiet)
	s, faults := shape.ReadSuppression(&quietSaid, at.Add(time.Hour))
	wantQuiet := quiet
	wantQuiet.ID, wantQuiet.Rev, wantQuiet.By, wantQuiet.CreatedAt, wantQuiet.UpdatedAt = "", 0, "", time.Time{}, time.Time{}
	if len(faults) > 0 || *s != wantQuiet {
		t.Errorf("suppression %+v, %v, want %+v", s, faults, wantQuiet)
	}
	channelSaid := shape.ChannelNew(&channel)
	if ch := shape.ReadChannel(&channelSaid); ch.Name != "ops" || !ch.Default || ch.Fallback != "channel_2" || ch.Sealed != nil {
		t.Errorf("channel %+v", ch)
	}
}

func TestFaultsNameTheirFields(t *testing.T) {
	_, f := shape.ReadAlarm(&api.AlarmNew{Node: "x", Condition: &api.Condition{Op: ">", For: "soon", Within: "-1h", Recover: &api.Recover{For: "x"}}, NoData: &api.NoData{After: "1 minute"}})
	var where []string
	for _, fault := range f {
		where = append(where, fault.Location)
	}
	if got := strings.Join(where, " "); got != "body.node body.condition.within body.condition.for body.condition.recover.for body.no_data.after" {
		t.Errorf("faults at %s: %v", got, f)
	}
	c, f := shape.ReadCheck(&api.CheckNew{Kind: "http", Period: "often", Timeout: "1s"})
	if len(f) != 1 || f[0].Location != "body.period" || !c.Enabled || string(c.Config) != "{}" {
		t.Errorf("%+v, %v", c, f)
	}
	s, f := shape.ReadSuppression(&api.SuppressionNew{Length: "1h", From: "+2h"}, at)
	if len(f) != 0 || !s.From.Equal(at.Add(2*time.Hour)) {
		t.Errorf("%+v, %v", s, f)
	}
	if _, f = shape.ReadSuppression(&api.SuppressionNew{Length: "x", From: "tomorrow"}, at); len(f) != 2 {
		t.Errorf("%v", f)
	}
}
