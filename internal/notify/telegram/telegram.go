// Package telegram gives the channel that writes to a chat through a Telegram bot.
package telegram

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"muster"
	"muster/internal/check"
	"muster/internal/notify"
	"muster/internal/outbound"
)

// Options are what the channel needs of the server.
type Options struct {
	// Net is the way out; needed.
	Net *outbound.Client
	// API is the base address of the Bot API; "https://api.telegram.org" when empty.
	API string
}

// Driver makes channels of configurations.
type Driver struct {
	o           Options
	token, chat *regexp.Regexp
}

// New makes the driver; the error wraps muster.ErrInvalid.
func New(o Options) (*Driver, error) {
	if o.API == "" {
		o.API = "https://api.telegram.org"
	}
	o.API = strings.TrimRight(o.API, "/")
	if o.Net == nil {
		return nil, fmt.Errorf("telegram: options: %w: Net is missing", muster.ErrInvalid)
	}
	if fault := o.Net.URLFault(o.API); fault != "" {
		return nil, fmt.Errorf("telegram: options: %w: API %s", muster.ErrInvalid, fault)
	}
	return &Driver{o: o, token: regexp.MustCompile(`^[0-9]{1,20}:[-_A-Za-z0-9]{20,100}$`), chat: regexp.MustCompile(`^(-?[0-9]{1,19}|@[A-Za-z][A-Za-z0-9_]{3,63})$`)}, nil
}

// Kind is "telegram".
func (d *Driver) Kind() string { return "telegram" }

// Secrets names the bot's token.
func (d *Driver) Secrets() []string { return []string{"token"} }

type fields struct {
	Chat   string `json:"chat"`
	Thread int    `json:"thread,omitempty"`
	Token  string `json:"token"`
}

// Parse reads {"token", "chat", "thread"}: of the bot, the number of the chat or the @name of a channel,
// and the number of a topic within a group.
func (d *Driver) Parse(config []byte) (notify.Sender, error) {
	var f fields
	in := check.ReadFields(chatAsText(config))
	in.Text("chat", &f.Chat, 64)
	if !d.chat.MatchString(f.Chat) {
		in.Fault("chat", "must be the number of a chat, such as -1001234567890, or the @name of a channel")
	}
	in.Int("thread", &f.Thread, 0, 1<<31-1)
	in.Text("token", &f.Token, 200)
	if !d.token.MatchString(f.Token) {
		in.Fault("token", "must be the token of a bot, as BotFather gives it: 123456:ABC...")
	}
	if err := in.Err(); err != nil {
		return nil, err
	}
	return &sender{o: &d.o, fields: f}, nil
}

// chatAsText lets a chat's number stand without quotes, as Telegram itself writes it.
func chatAsText(config []byte) []byte {
	var all map[string]json.RawMessage
	if len(config) > check.MaxConfig || json.Unmarshal(config, &all) != nil {
		return config
	}
	var n int64
	if json.Unmarshal(all["chat"], &n) != nil || string(all["chat"]) == "null" {
		return config
	}
	all["chat"] = json.RawMessage(strconv.Quote(strconv.FormatInt(n, 10)))
	changed, err := json.Marshal(all)
	if err != nil {
		return config
	}
	return changed
}

type sender struct {
	o *Options
	fields
}

// Config gives the fields, the token included.
func (s *sender) Config() []byte { return check.Normal(s.fields) }

// Groups is true.
func (s *sender) Groups() bool { return true }

// Send posts the message. Telegram refuses buttons that lead where only the own network leads, and a group
// gets another number when it grows; both are mended by asking once more.
func (s *sender) Send(ctx context.Context, m *notify.Message) error {
	body := s.write(m, true)
	failure, said := s.post(ctx, body)
	switch {
	case failure == nil:
		return nil
	case said.Parameters.MigrateTo != 0:
		body.Chat = strconv.FormatInt(said.Parameters.MigrateTo, 10)
	case said.Code == http.StatusBadRequest && body.Markup != nil:
		body = s.write(m, false)
	default:
		return failure
	}
	if again, _ := s.post(ctx, body); again != nil {
		return again
	}
	return nil
}

// reply is what the Bot API answers.
type reply struct {
	OK          bool   `json:"ok"`
	Code        int    `json:"error_code"`
	Description string `json:"description"`
	Parameters  struct {
		RetryAfter int64 `json:"retry_after"`
		MigrateTo  int64 `json:"migrate_to_chat_id"`
	} `json:"parameters"`
}

func (s *sender) post(ctx context.Context, body message) (*notify.Failure, reply) {
	var said reply
	header := http.Header{"Content-Type": {"application/json"}}
	answer, err := s.o.Net.Post(ctx, s.o.API+"/bot"+s.Token+"/sendMessage", header, check.Normal(body))
	if err != nil {
		return &notify.Failure{Err: err, Permanent: errors.Is(err, muster.ErrDenied)}, said
	}
	known := json.Unmarshal(answer.Body, &said) == nil
	if known && answer.OK() && said.OK {
		return nil, said
	}
	f := &notify.Failure{Err: errors.New(answer.Words(s.Token)), RetryAfter: answer.RetryAfter}
	if known && said.Description != "" {
		f.Err = fmt.Errorf("answer of Telegram: %s", outbound.Strike(clean(said.Description, 300), s.Token))
	}
	if n := said.Parameters.RetryAfter; n > 0 {
		f.RetryAfter = min(time.Duration(min(n, 1<<31))*time.Second, outbound.MaxRetryAfter)
	}
	switch answer.Status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound: // no such chat, wrong token, the bot was thrown out
		f.Permanent = true
	case http.StatusGone:
		f.Permanent, f.Disable = true, true
	}
	said.Code = answer.Status
	return f, said
}
