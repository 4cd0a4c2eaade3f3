package agent

import (
	"context"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"muster/internal/check"
	"muster/internal/wire"
)

// hello says who the agent is, for each connection anew.
func (a *Agent) hello() wire.Hello {
	facts := a.facts.Load()
	return wire.Hello{
		Hostname: facts.Hostname, Version: clip(a.options.Version, wire.MaxText), Period: a.schedule.period(),
		BootID: facts.BootID, Facts: facts.Facts, Addresses: facts.Addresses,
	}
}

// tellFacts looks at the facts from time to time and sends them when they changed.
func (a *Agent) tellFacts(ctx context.Context) {
	told := a.facts.Load()
	for {
		pause := factsEvery/2 + rand.N(factsEvery)
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		facts := a.describe(ctx)
		if ctx.Err() == nil && (!maps.Equal(facts.Facts, told.Facts) || !slices.Equal(facts.Addresses, told.Addresses)) {
			a.uplink.SetFacts(&wire.Facts{Facts: facts.Facts, Addresses: facts.Addresses})
			told = &facts
			a.facts.Store(told)
		}
	}
}

// describe asks for the facts and cuts them to what the wire bears.
func (a *Agent) describe(ctx context.Context) check.Facts {
	ctx, cancel := context.WithTimeout(ctx, factsPatience)
	defer cancel()
	var facts check.Facts
	if a.options.Describer != nil {
		var err error
		if facts, err = a.options.Describer.Facts(ctx); err != nil {
			a.options.Logger.Warn("Some facts of the machine cannot be told.", "error", err)
		}
	}
	if a.options.Hostname != "" {
		facts.Hostname = a.options.Hostname
	}
	if facts.Hostname == "" {
		facts.Hostname, _ = os.Hostname() // without one the server makes up a name
	}
	facts.Hostname, facts.BootID = clip(facts.Hostname, wire.MaxText), clip(facts.BootID, wire.MaxText)
	facts.Facts = clipFacts(facts.Facts)
	facts.Addresses = facts.Addresses[:min(len(facts.Addresses), wire.MaxAddresses)]
	return facts
}

// clipFacts keeps to the limits of the wire and to half a greeting in all.
func clipFacts(facts map[string]string) map[string]string {
	kept := make(map[string]string, len(facts))
	room := wire.MaxGreeting / 2
	for _, key := range slices.Sorted(maps.Keys(facts)) {
		value := clip(facts[key], wire.MaxFactValue)
		room -= len(key) + len(value) + 16
		if len(kept) < wire.MaxFacts && len(key) <= wire.MaxFactKey && value != "" && room > 0 {
			kept[key] = value
		}
	}
	return kept
}

// clip cuts a text to so many bytes of valid UTF-8.
func clip(s string, most int) string {
	s = strings.ToValidUTF8(s, "?")
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}
