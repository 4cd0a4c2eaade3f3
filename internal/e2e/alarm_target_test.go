package e2e

import (
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"muster/api"
	"muster/internal/check/checktest"
)

// TestRealTargets stops and breaks real services of Debian's: each opens an incident that says what is wrong with
// it, and closes when it is mended.
func TestRealTargets(t *testing.T) {
	t.Parallel()
	s := watchman(t)
	s.hasten("check-failing", fields{"condition": fields{"for": "2s"}})
	h := s.hookOf("hook", fields{"default": true})
	at := func(v *service) fields { return fields{"host": v.at.Addr().String(), "port": v.at.Port()} }
	t.Run("all", func(t *testing.T) { // they wait side by side
		t.Run("openssh", func(t *testing.T) {
			t.Parallel()
			v := newSSH(t)
			config := at(v)
			config["expect"] = `^SSH-2\.0-`
			s.in(t).breaks(h, v, s.in(t).started(v, "tcp", config), syscall.SIGTERM)
		})
		t.Run("unbound", func(t *testing.T) {
			t.Parallel()
			v := newUnbound(t)
			s.in(t).breaks(h, v, s.in(t).started(v, "dns", fields{"server": v.at.Addr().String(), "port": v.at.Port(), "query": "www.test", "expect": []string{"192.0.2.7"}}), os.Kill)
		})
		t.Run("nginx", func(t *testing.T) {
			t.Parallel()
			s.in(t).certificates(h)
		})
	})
}

// started starts a service and makes its check, which is well.
func (s *server) started(v *service, kind string, config fields) api.Check {
	s.t.Helper()
	v.start()
	c := s.check(kind, config, nil)
	return s.awaits(c.ID, "ok")
}

// breaks ends a service by a signal and starts it again.
func (s *server) breaks(h *hook, v *service, c api.Check, signal os.Signal) {
	s.t.Helper()
	v.end(signal)
	in := s.opens(c.ID)
	m := h.hears(in.ID, "incident.opened")
	said := m.Data.Incident.Transitions[0]
	if !strings.Contains(said.Why, "refused") || len(said.Inputs) < 2 || said.Inputs[0].Text == "" || said.At.Sub(said.Inputs[0].At) < 2*time.Second {
		s.t.Errorf("it fired because of %+v", said)
	}
	v.start()
	h.hears(in.ID, "incident.resolved")
	s.turns(in.ID, "resolved")
	if n := len(s.incidents(c.ID)); n != 1 {
		s.t.Errorf("%d incidents of one outage", n)
	}
}

// certificates shows one that is over, then one for somebody else, then a good one, without the service being away.
func (s *server) certificates(h *hook) {
	s.t.Helper()
	n := newNginx(s.t)
	authority := checktest.NewAuthority(s.t)
	host := n.at.Addr().String()
	good := checktest.Certificate{Names: []string{"shop.test", host}, NotAfter: time.Now().Add(60 * 24 * time.Hour)}
	over := checktest.Certificate{Names: good.Names, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(-time.Hour)}
	n.show(authority.Issue(s.t, good))
	c := s.check("http", fields{"url": "https://" + n.at.String() + "/", "tls_ca": authority.PEM, "body_match": "^welcome"}, nil)
	was := s.awaits(c.ID, "ok").Last[0]
	if left := was.Metrics["tls.certificate.remaining"]; left < 59*24*3600 || was.Metrics["tls.certificate.valid"] != 1 {
		s.t.Errorf("the good certificate is good for %v s: %+v", left, was)
	}
	for _, bad := range []struct {
		is   checktest.Certificate
		says string
	}{{over, "expired"}, {checktest.Certificate{Names: []string{"other.test"}, NotAfter: good.NotAfter}, "other.test"}} {
		n.show(authority.Issue(s.t, bad.is))
		until(s.t, 2*patience, "the result says "+bad.says, func() bool {
			last := s.checkOf(c.ID).Last[0]
			return last.Status == "critical" && last.Error != nil && last.Error.Class == "tls" && strings.Contains(last.Error.Message, bad.says)
		})
		in := s.opens(c.ID)
		h.hears(in.ID, "incident.opened")
		if why := s.incident(in.ID).Transitions; !slices.ContainsFunc(why, func(t api.Transition) bool { return strings.Contains(t.Why, bad.says) }) {
			s.t.Errorf("it fired because of %+v", why)
		}
		n.show(authority.Issue(s.t, good))
		h.hears(in.ID, "incident.resolved")
		s.turns(in.ID, "resolved")
	}
}
