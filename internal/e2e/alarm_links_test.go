package e2e

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"muster/api"
	"muster/internal/notify/notifytest"
)

var linkInMail = regexp.MustCompile(`https?://[^\s"<>]+/act/[A-Za-z0-9._~-]+`)

// TestLinksInMessages opens the links of a mail as a program that looks into mails does, which does nothing, and
// presses their buttons, which takes the incident and silences it; nobody has to sign in for that.
func TestLinksInMessages(t *testing.T) {
	t.Parallel()
	s := watchman(t)
	mail := (&notifytest.MailServer{}).Start(t)
	post := answer[api.Channel](s, "POST", api.PathChannels, fields{"name": "post", "kind": "email", "default": true,
		"config": fields{"to": []string{"night@example.org"}, "from": "muster@example.org", "smtp": "smtp://" + mail.Address}})
	g := newTarget(t).up()
	c := s.check("http", fields{"url": g.url()}, nil)
	s.failsAtOnce()
	s.awaits(c.ID, "ok")
	g.down()
	in := s.opens(c.ID)
	s.tells(in.ID, post.ID, "incident.opened", "delivered")
	links := map[string]bool{}
	text := strings.NewReplacer("=\r\n", "", "=3D", "=").Replace(string(mail.Got()[0].Data)) // lines that a mail folds
	for _, link := range linkInMail.FindAllString(text, -1) {
		links[link] = true
	}
	var take, silence string
	ask := func(method, link string, form url.Values) (code int, page string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, link, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return s.send(http.DefaultClient, req)
	}
	for link := range links {
		for _, method := range []string{"HEAD", "GET"} {
			code, page := ask(method, link, nil)
			if code != http.StatusOK {
				t.Errorf("%s %s: %d", method, link, code)
			}
			if strings.Contains(page, ">Silence</button>") {
				silence = link
			} else if strings.Contains(page, ">Acknowledge</button>") {
				take = link
			}
		}
	}
	if len(links) != 2 || take == "" || silence == "" {
		t.Fatalf("in the mail are %v:\n%s", links, text)
	}
	if now := s.incident(in.ID); now.State != "open" || len(list[api.Suppression](s, api.PathSuppressions)) > 0 {
		t.Errorf("only looked at, the links did something: %+v", now)
	}
	at := len(take) - 10
	broken := take[:at] + map[bool]string{true: "A", false: "B"}[take[at] != 'A'] + take[at+1:]
	if code, _ := ask("POST", broken, nil); code != http.StatusNotFound {
		t.Errorf("a link that was tampered with: %d", code)
	}
	if code, page := ask("POST", take, nil); code != http.StatusOK || !strings.Contains(page, "You have it") {
		t.Errorf("the button: %d %s", code, page)
	}
	if now := s.turns(in.ID, "acknowledged"); now.AcknowledgedBy != "link" {
		t.Errorf("taken by %s", now.AcknowledgedBy)
	}
	if code, page := ask("POST", silence, url.Values{"for": {"4h"}}); code != http.StatusOK || !strings.Contains(page, "4 hours") {
		t.Errorf("the button: %d %s", code, page)
	}
	if quiet := list[api.Suppression](s, api.PathSuppressions); len(quiet) != 1 || quiet[0].Check != c.ID || quiet[0].Length != "4h" || !quiet[0].Active || quiet[0].By != "link" {
		t.Errorf("it is quiet by %+v", quiet)
	}
	g.up()
	s.tells(in.ID, post.ID, "incident.resolved", "delivered")
}
