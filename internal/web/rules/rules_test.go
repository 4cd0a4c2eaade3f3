package rules_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"muster"
	"muster/internal/alarm"
	"muster/internal/auth"
	"muster/internal/notify"
	"muster/internal/web/rules"
	"muster/internal/web/shell"
)

// world is both rooms in little.
type world struct {
	role     muster.Role
	account  muster.AccountID
	alarms   []*muster.Alarm
	channels []*muster.Channel
	deny     error
}

func (w *world) List(muster.AccountID) []*muster.Alarm { return w.alarms }

func (w *world) Get(_ muster.AccountID, id muster.AlarmID) (*muster.Alarm, error) {
	for _, a := range w.alarms {
		if a.ID == id {
			return a, nil
		}
	}
	return nil, fmt.Errorf("fake: %w", muster.ErrNotFound)
}

func (w *world) Update(_ context.Context, e alarm.Edit, change func(*muster.Alarm) error) (*muster.Alarm, error) {
	a, err := w.Get(e.Account, e.ID)
	if err != nil {
		return nil, err
	}
	return a, change(a)
}

func (w *world) StandingBy(muster.AccountID, muster.AlarmID) ([]alarm.Standing, error) {
	return []alarm.Standing{{Subject: muster.NodeID{1}, State: muster.AlarmFiring, Series: "/var", Why: "97 % for 5 min", Since: time.Now()}, {Subject: muster.NodeID{2}, State: muster.AlarmOK, Why: "12 %"}}, nil
}

func (w *world) Channels(muster.AccountID) []*muster.Channel { return w.channels }

func (w *world) Channel(_ muster.AccountID, id muster.ChannelID) (*muster.Channel, error) {
	for _, c := range w.channels {
		if c.ID == id {
			return c, nil
		}
	}
	return nil, fmt.Errorf("fake: %w", muster.ErrNotFound)
}

func (w *world) CreateChannel(_ context.Context, _ notify.Edit, c *muster.Channel) (*muster.Channel, map[string]string, error) {
	if w.deny != nil {
		return nil, nil, w.deny
	}
	c.ID = "channel_1"
	w.channels = append(w.channels, c)
	if c.Kind == "webhook" {
		return c, map[string]string{"secret": "whsec_once"}, nil
	}
	return c, nil, nil
}

func (w *world) DeleteChannel(_ context.Context, e notify.Edit) error {
	if _, err := w.Channel(e.Account, muster.ChannelID(e.ID)); err != nil {
		return err
	}
	w.channels = nil
	return nil
}

func (w *world) TestChannel(_ context.Context, account muster.AccountID, id muster.ChannelID) (muster.Delivery, error) {
	c, err := w.Channel(account, id)
	if err != nil {
		return muster.Delivery{}, err
	}
	return muster.Delivery{Name: c.Name, Status: muster.DeliveryFailed, Error: "connection refused"}, nil
}

func (w *world) site(t *testing.T) http.Handler {
	t.Helper()
	mux := http.NewServeMux()
	rules.New(rules.Options{
		Shell: shell.New(shell.Options{}), Watch: w, Notices: w,
		Subject: func(_ muster.AccountID, s muster.NodeID) (string, string) { return "db-<1>", "/nodes/" + s.String() },
	}).Routes(mux)
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		v := shell.Viewer{Identity: auth.Identity{Account: w.account, User: "user_1", Role: w.role}, CSRF: "token"}
		mux.ServeHTTP(out, r.WithContext(shell.WithViewer(r.Context(), v)))
	})
}

func ask(t *testing.T, h http.Handler, method, path string, form url.Values) (int, string) {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func wants(t *testing.T, page string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(page, text) {
			t.Errorf("the page lacks %q", text)
		}
	}
	for _, bad := range []string{"style=", "onclick=", "<script>", "db-<1>"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
}

func newWorld() *world {
	return &world{role: muster.Operator, account: muster.NewAccountID(), alarms: []*muster.Alarm{
		{ID: "alarm_1", Name: "Disk <full>", Metric: "system.filesystem.utilization", Level: muster.LevelCritical, Enabled: true, BuiltIn: "x", Condition: &muster.Condition{Op: ">=", Value: 0.95, For: 5 * time.Minute, Recover: muster.Recovery{Op: "<", Value: 0.92, For: time.Minute}}},
		{ID: "alarm_2", Name: "Silent", NoData: muster.NoData{After: time.Minute, Is: muster.NoDataCritical}, Level: muster.LevelCritical},
		{ID: "alarm_3", Name: "Soon", Query: "tag:web", Metric: "m", Level: muster.LevelWarning, Enabled: true, Condition: &muster.Condition{Fn: muster.FnForecast, Within: 24 * time.Hour, Op: ">=", Value: 1}},
	}}
}

func TestAlarms(t *testing.T) {
	w := newWorld()
	h := w.site(t)
	status, page := ask(t, h, "GET", "/alarms", nil)
	if status != 200 {
		t.Fatal(status)
	}
	wants(t, page, "Disk &lt;full&gt;", "&gt;= 0.95 for 5m", "silence fires after 1m", "on the way to &gt;= 1 within 1d", "tag:web", "Nobody is told of anything yet", "firing", "off")
	_, page = ask(t, h, "GET", "/alarms/alarm_1", nil)
	wants(t, page, "&lt; 0.92 for 1m", "97 % for 5 min", "/var", "db-&lt;1&gt;", "Switch off", "PATCH /v1/alarms/alarm_1", "fires on 1 now")
	if status, _ := ask(t, h, "GET", "/alarms/other", nil); status != 404 {
		t.Errorf("another alarm: %d", status)
	}
	if status, _ := ask(t, h, "POST", "/alarms/alarm_1", url.Values{"enabled": {"0"}}); status != 303 || w.alarms[0].Enabled {
		t.Errorf("switched off: %d, %v", status, w.alarms[0].Enabled)
	}
	w.role = muster.Observer
	if status, _ := ask(t, h, "POST", "/alarms/alarm_1", url.Values{"enabled": {"1"}}); status != 403 || w.alarms[0].Enabled {
		t.Errorf("an observer switches: %d", status)
	}
	if _, page = ask(t, h, "GET", "/alarms/alarm_1", nil); strings.Contains(page, "Switch on") {
		t.Error("an observer is shown the button")
	}
}

func TestChannels(t *testing.T) {
	w := newWorld()
	h := w.site(t)
	_, page := ask(t, h, "GET", "/channels", nil)
	wants(t, page, "Nobody is told of anything yet", "Make it", " checked")
	status, page := ask(t, h, "POST", "/channels", url.Values{"name": {"ops"}, "kind": {"webhook"}, "address": {"https://example.org/hook"}, "default": {"1"}})
	if status != 200 || len(w.channels) != 1 || string(w.channels[0].Config) != `{"url":"https://example.org/hook"}` || !w.channels[0].Default {
		t.Fatalf("made: %d, %+v", status, w.channels)
	}
	wants(t, page, "whsec_once", "ops", "every alarm that names no channel")
	if _, page = ask(t, h, "GET", "/channels", nil); strings.Contains(page, "whsec_once") {
		t.Error("the secret is shown again")
	}
	for kind, c := range map[string][3]string{
		"email":    {"a@example.org, b@example.org", "", `{"to":["a@example.org","b@example.org"]}`},
		"ntfy":     {"https://ntfy.sh/my-topic", "tk", `{"server":"https://ntfy.sh","token":"tk","topic":"my-topic"}`},
		"telegram": {"-100", "123:abc", `{"chat":"-100","token":"123:abc"}`},
		"slack":    {"https://hooks.example.org/x", "", `{"url":"https://hooks.example.org/x"}`},
	} {
		w.channels = nil
		status, _ := ask(t, h, "POST", "/channels", url.Values{"name": {kind}, "kind": {kind}, "address": {c[0]}, "secret": {c[1]}})
		if status != 303 || len(w.channels) != 1 || string(w.channels[0].Config) != c[2] {
			t.Errorf("%s: %d %+v", kind, status, w.channels)
		}
	}
	if status, page := ask(t, h, "POST", "/channels", url.Values{"name": {"x"}, "kind": {"ntfy"}, "address": {"topic"}}); status != 422 || !strings.Contains(page, "https://ntfy.sh/my-topic") {
		t.Errorf("no topic: %d", status)
	}
	w.deny = fmt.Errorf("notify: %w: the name is taken", muster.ErrConflict)
	status, page = ask(t, h, "POST", "/channels", url.Values{"name": {"x"}, "kind": {"telegram"}, "address": {"1"}, "secret": {"hush"}})
	if status != 422 || strings.Contains(page, "hush") {
		t.Errorf("refused: %d", status)
	}
	wants(t, page, "the name is taken", `value="x"`)
	if status, _ := ask(t, h, "POST", "/channels/channel_1/test", nil); status != 303 {
		t.Errorf("test: %d", status)
	}
	if status, _ := ask(t, h, "POST", "/channels/channel_1/delete", nil); status != 303 || w.channels != nil {
		t.Errorf("delete: %d", status)
	}
	if status, _ := ask(t, h, "POST", "/channels/channel_1/delete", nil); status != 404 {
		t.Errorf("delete again: %d", status)
	}
	w.role = muster.Observer
	if status, _ := ask(t, h, "POST", "/channels", url.Values{"name": {"y"}}); status != 403 {
		t.Errorf("an observer makes one: %d", status)
	}
}
