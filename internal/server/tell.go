package server

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"muster"
	"muster/internal/check"
	"muster/internal/notify"
	"muster/internal/notify/all"
	"muster/internal/notify/email"
	"muster/internal/notify/webhook"
	"muster/internal/outbound"
	"muster/internal/plot"
	"muster/internal/seal"
	"muster/internal/series"
	"muster/internal/store"
)

// openNotify opens the room that tells people.
func (s *Server) openNotify(ctx context.Context, owns func(int) (uint64, bool)) error {
	var err error
	if s.sealer, err = seal.OpenFile(filepath.Join(s.opts.Data, "seal.key")); err != nil {
		return err
	}
	host, _ := os.Hostname() // only a name in mails
	env := check.Env{}
	if s.opts.MultiTenant {
		env.Allow = check.PublicOnly
	}
	drivers, err := all.Drivers(all.Options{
		Net:     outbound.Options{Env: env, Self: s.isSelf, Agent: "Muster/" + s.opts.Version},
		Webhook: webhook.Options{NodeNow: s.nodeNow},
		Email:   email.Options{SMTP: s.opts.SMTP, From: s.opts.MailFrom, Hostname: host},
	})
	if err != nil {
		return fmt.Errorf("server: set the channels up: %w", err)
	}
	key, err := linkKey(ctx, s.tenants, s.sealer)
	if err != nil {
		return err
	}
	s.notify, err = notify.Open(ctx, s.tenants, notify.Options{
		Drivers: drivers, Ledger: noticeLedger{s.ledger}, Attempts: attempts{s.tenants}, Sealer: s.sealer,
		Shards: s.shards, Owns: func(shard int) bool { _, mine := owns(shard); return mine },
		Query: func(text string) (notify.Matcher, error) { return parseQuery(text) },
		Node:  fleet{s}.Node, Who: s.who, AccountName: func(id muster.AccountID) string { return s.tenants.name(ctx, id) },
		BaseURL: func() string { return s.url }, LinkKey: key, Chart: s.chart,
		Trouble: s.watch.Trouble, TroubleOver: s.watch.TroubleOver, Tell: s.note,
		Logger: s.opts.Logger, Telemetry: s.telemetry,
	})
	return err
}

// linkKey gives the key that signs links in messages, made at the first start and the same on every server.
func linkKey(ctx context.Context, t *tenants, sealer *seal.Sealer) ([]byte, error) {
	const name = "links"
	sealed, err := t.Secret(ctx, name)
	if errors.Is(err, muster.ErrNotFound) {
		key := make([]byte, 32)
		rand.Read(key)
		if err = t.PutSecret(ctx, name, sealer.Seal(key, name)); err == nil || errors.Is(err, muster.ErrConflict) {
			sealed, err = t.Secret(ctx, name)
		}
	}
	if err != nil {
		return nil, err
	}
	return sealer.Open(sealed, name)
}

// isSelf says whether a host and port are this server: a message to itself would never reach anybody.
func (s *Server) isSelf(host string, port uint16) bool {
	if u, err := url.Parse(s.url); err == nil && u.Hostname() == host {
		own := u.Port()
		if own == "" {
			own = map[string]string{"http": "80", "https": "443"}[u.Scheme]
		}
		return own == strconv.Itoa(int(port))
	}
	listens, ok := s.listener.Addr().(*net.TCPAddr)
	if !ok || listens.Port != int(port) {
		return false
	}
	if host == "localhost" {
		return listens.IP.IsLoopback() || listens.IP.IsUnspecified()
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	if ip.IsLoopback() || ip.IsUnspecified() { // who connects to no address at all connects to this machine
		return listens.IP.IsLoopback() || listens.IP.IsUnspecified()
	}
	return listens.IP.IsUnspecified() && isOwnAddress(ip) || listens.IP.Equal(ip.AsSlice())
}

func isOwnAddress(ip netip.Addr) bool {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr() == ip.Unmap() {
			return true
		}
	}
	return false
}

func (s *Server) nodeNow(account muster.AccountID, id muster.NodeID) (muster.NodeNow, bool) {
	row, err := s.inventory.Get(account, id)
	return row.Now, err == nil
}

// who names a person or a token for people.
func (s *Server) who(account muster.AccountID, actor string) string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if u, err := s.tenants.User(ctx, account, muster.UserID(actor)); err == nil {
		return u.Name
	}
	if t, err := s.tenants.Token(ctx, account, muster.TokenID(actor)); err == nil {
		return t.Name
	}
	if actor == "link" {
		return "somebody, by the link in a message"
	}
	return ""
}

// chartSpan is how much of the past the picture in a message shows.
const chartSpan = time.Hour

// chart draws the metric of the transition that a message is about.
func (s *Server) chart(ctx context.Context, in *muster.Incident, change *muster.IncidentChange) ([]byte, error) {
	if change.Transition == nil {
		return nil, fmt.Errorf("server: chart: %w: no metric led here", muster.ErrNotFound)
	}
	a, err := s.watch.Get(in.Account, change.Transition.Alarm)
	if err != nil {
		return nil, err
	}
	metric := a.Metric
	if metric == "" && a.Check != "" {
		metric = muster.CheckDurationMetric
	}
	if metric == "" {
		return nil, fmt.Errorf("server: chart: %w: silence has no line", muster.ErrNotFound)
	}
	to := time.Now()
	answer, err := s.series.Query(ctx, series.Query{
		Account: in.Account, Nodes: []muster.NodeID{in.Subject}, Metric: metric, Attrs: exact(a.Attrs), From: to.Add(-chartSpan), To: to, Points: 240,
	})
	if err != nil || len(answer.Lines) == 0 {
		return nil, errors.Join(err, muster.ErrNotFound)
	}
	c := plot.Chart{From: to.Add(-chartSpan), To: to, Step: answer.Step, Unit: answer.Unit, Level: change.Transition.Level}
	for _, p := range answer.Lines[0].Points {
		c.Points = append(c.Points, plot.Point{At: p.T, Value: p.Avg})
	}
	if a.Condition != nil && a.Metric != "" && a.Condition.Fn == muster.FnValue {
		c.Limit = &a.Condition.Value
	}
	return plot.PNG(c)
}

// exact leaves out what has wildcards.
func exact(attrs map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range attrs {
		if !strings.ContainsAny(v, "*?") {
			out[k] = v
		}
	}
	return out
}

// attempts keeps what became of messages, a stream per incident.
type attempts struct{ *tenants }

func deliveryStream(id muster.IncidentID) string { return "deliveries/" + string(id) }

// attemptBody is how an attempt is kept; its instant and message are in the row's place.
type attemptBody struct {
	Message string                `json:"message"`
	Type    string                `json:"type"`
	Channel muster.ChannelID      `json:"channel"`
	Name    string                `json:"name,omitempty"`
	Attempt int                   `json:"attempt,omitempty"`
	Status  muster.DeliveryStatus `json:"status"`
	Error   string                `json:"error,omitempty"`
	Next    time.Time             `json:"next_at,omitzero"`
}

func (a attempts) Put(ctx context.Context, account muster.AccountID, list []muster.Delivery) error {
	streams := map[string][]store.EventRow{}
	for _, d := range list {
		body, err := json.Marshal(attemptBody{d.Message, d.Type, d.Channel, d.Name, d.Attempt, d.Status, d.Error, d.Next})
		if err != nil {
			return fmt.Errorf("server: keep an attempt: %w: %w", muster.ErrInvalid, err)
		}
		name := deliveryStream(d.Incident)
		streams[name] = append(streams[name], store.EventRow{At: d.At.UnixMilli(), ID: d.Message + "/" + strconv.Itoa(d.Attempt), Body: body})
	}
	for name, rows := range streams {
		if err := a.PutRows(ctx, account, name, rows); err != nil {
			return err
		}
	}
	return nil
}

func (a attempts) Of(ctx context.Context, account muster.AccountID, id muster.IncidentID, limit int) ([]muster.Delivery, error) {
	rows, err := a.RowsBefore(ctx, account, deliveryStream(id), store.EventRow{}, limit)
	if err != nil {
		return nil, err
	}
	out := make([]muster.Delivery, 0, len(rows))
	for _, r := range rows {
		var b attemptBody
		if err := json.Unmarshal(r.Body, &b); err != nil {
			continue // written by a newer program
		}
		out = append(out, muster.Delivery{
			Message: b.Message, Incident: id, Type: b.Type, Channel: b.Channel, Name: b.Name, At: time.UnixMilli(r.At).UTC(), Attempt: b.Attempt, Status: b.Status, Error: b.Error, Next: b.Next,
		})
	}
	return out, nil
}
