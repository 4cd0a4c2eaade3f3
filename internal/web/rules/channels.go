package rules

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"muster"
	"muster/api"
	"muster/internal/notify"
	"muster/internal/web/shell"
)

// held adds how long something must hold.
func held(what string, length time.Duration) string {
	if length <= 0 {
		return what
	}
	return what + " for " + api.FormatDuration(length)
}

type channelsBody struct {
	CSRF     string
	MayAct   bool
	Channels []*muster.Channel
	Made     string // a secret that is shown this once
	Wrong    string // why the form was not taken
	Form     channelForm
}

// channelForm is what the form holds.
type channelForm struct {
	Name, Kind, Address, Secret string
	Default                     bool
}

func (p *Page) channelsPage(w http.ResponseWriter, r *http.Request) {
	p.showChannels(w, r, &channelsBody{Form: channelForm{Kind: "webhook", Default: len(p.opts.Notices.Channels(shell.Identity(r.Context()).Account)) == 0}})
}

func (p *Page) showChannels(w http.ResponseWriter, r *http.Request, b *channelsBody) {
	v := shell.Identity(r.Context())
	b.CSRF, b.MayAct, b.Channels = v.CSRF, v.Role.May(muster.Operator), p.opts.Notices.Channels(v.Account)
	page := shell.Page{Title: "Channels", Nav: "channels", Styles: []string{"rules/rules.css"}}
	if b.Wrong != "" {
		page.Status = http.StatusUnprocessableEntity
	}
	p.channels.Render(w, r, page, b)
}

// config makes a kind's own fields of the form's two.
func (f *channelForm) config() ([]byte, error) {
	out := map[string]any{}
	switch f.Kind {
	case "email":
		out["to"] = strings.FieldsFunc(f.Address, func(c rune) bool { return c == ',' || c == ' ' || c == ';' })
	case "ntfy":
		u, err := url.Parse(f.Address)
		if err != nil || u.Host == "" || strings.Trim(u.Path, "/") == "" {
			return nil, fmt.Errorf("%w: the address of a topic looks like https://ntfy.sh/my-topic", muster.ErrInvalid)
		}
		out["topic"] = strings.Trim(u.Path, "/")
		u.Path = ""
		out["server"] = u.String()
		if f.Secret != "" {
			out["token"] = f.Secret
		}
	case "telegram":
		out["chat"], out["token"] = f.Address, f.Secret
	default:
		out["url"] = f.Address
		if f.Kind == "webhook" && f.Secret != "" {
			out["secret"] = f.Secret
		}
	}
	return json.Marshal(out)
}

func (p *Page) makeChannel(w http.ResponseWriter, r *http.Request) {
	v := shell.Identity(r.Context())
	if err := mayAct(v); err != nil {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	f := channelForm{
		Name: strings.TrimSpace(r.PostFormValue("name")), Kind: r.PostFormValue("kind"), Address: strings.TrimSpace(r.PostFormValue("address")),
		Secret: strings.TrimSpace(r.PostFormValue("secret")), Default: r.PostFormValue("default") != "",
	}
	b := &channelsBody{Form: f}
	config, err := f.config()
	var made map[string]string
	if err == nil {
		_, made, err = p.opts.Notices.CreateChannel(r.Context(), notify.Edit{Account: v.Account, Actor: v.Actor()}, &muster.Channel{Name: f.Name, Kind: f.Kind, Config: config, Default: f.Default})
	}
	switch kind := muster.Kind(err); {
	case err == nil:
		b.Form = channelForm{Kind: f.Kind}
	case kind == muster.ErrInvalid || kind == muster.ErrConflict || kind == muster.ErrLimited:
		b.Wrong, b.Form.Secret = muster.Words(err), ""
	default:
		p.opts.Shell.Fail(w, r, err)
		return
	}
	for _, secret := range made {
		b.Made = secret
	}
	if err == nil && b.Made == "" {
		shell.SetFlash(w, shell.Flash{Kind: "ok", Text: "The channel was made. Try it with Test."})
		http.Redirect(w, r, "/channels", http.StatusSeeOther)
		return
	}
	p.showChannels(w, r, b)
}

func (p *Page) testChannel(w http.ResponseWriter, r *http.Request) {
	v := shell.Identity(r.Context())
	err := mayAct(v)
	var d muster.Delivery
	if err == nil {
		d, err = p.opts.Notices.TestChannel(r.Context(), v.Account, muster.ChannelID(r.PathValue("id")))
	}
	switch {
	case muster.Kind(err) == muster.ErrInvalid:
		shell.SetFlash(w, shell.Flash{Kind: "bad", Text: muster.Words(err)})
	case err != nil:
		p.opts.Shell.Fail(w, r, err)
		return
	case d.Status == muster.DeliverySent:
		shell.SetFlash(w, shell.Flash{Kind: "ok", Text: d.Name + " took the message."})
	default:
		shell.SetFlash(w, shell.Flash{Kind: "bad", Text: d.Name + ": " + d.Error})
	}
	http.Redirect(w, r, "/channels", http.StatusSeeOther)
}

func (p *Page) deleteChannel(w http.ResponseWriter, r *http.Request) {
	v := shell.Identity(r.Context())
	err := mayAct(v)
	if err == nil {
		err = p.opts.Notices.DeleteChannel(r.Context(), notify.Edit{Account: v.Account, ID: r.PathValue("id"), Actor: v.Actor()})
	}
	if err != nil {
		p.opts.Shell.Fail(w, r, err)
		return
	}
	shell.SetFlash(w, shell.Flash{Kind: "ok", Text: "The channel was deleted."})
	http.Redirect(w, r, "/channels", http.StatusSeeOther)
}

// Kinds lists the kinds of channels for the form.
func (b *channelsBody) Kinds() []string {
	return slices.Clone([]string{"webhook", "email", "slack", "ntfy", "telegram"})
}
