package phrase

import (
	"math"
	"strings"
	"testing"

	"muster/api"
)

func TestConditions(t *testing.T) {
	for text, want := range map[string]api.Condition{
		"> 0.95":                        {Op: ">", Value: 0.95},
		">0.95 for 5m":                  {Op: ">", Value: 0.95, For: "5m"},
		">= 95% for 5m":                 {Op: ">=", Value: 0.95, For: "5m"},
		"above 95 % for 5 min":          {Op: ">", Value: 0.95, For: "5m"},
		"below 14d":                     {Op: "<", Value: 14 * 86400},
		"<14d for 0s":                   {Op: "<", Value: 14 * 86400, For: "0s"},
		"< 1h30m":                       {Op: "<", Value: 5400},
		"< 200ms for 1h30m":             {Op: "<", Value: 0.2, For: "90m"},
		"= 0":                           {Op: "=="},
		"!= 200 for 30s":                {Op: "!=", Value: 200, For: "30s"},
		"> 1.5GiB":                      {Op: ">", Value: 1.5 * (1 << 30)},
		"> 10 MB/s for 2m":              {Op: ">", Value: 1e7, For: "2m"},
		"< -1e-3":                       {Op: "<", Value: -1e-3},
		"for 5m > 3":                    {Op: ">", Value: 3, For: "5m"},
		"> 250 us":                      {Op: ">", Value: 0.00025},
		"> +.5":                         {Op: ">", Value: .5},
		"forecast within 24h > 1":       {Fn: "forecast", Within: "1d", Op: ">", Value: 1},
		"forecast > 95% within 7d":      {Fn: "forecast", Within: "7d", Op: ">", Value: 0.95},
		"forecast in 6 h > 95% for 10m": {Fn: "forecast", Within: "6h", Op: ">", Value: 0.95, For: "10m"},
	} {
		got, err := Condition(text)
		if err != nil || *got != want {
			t.Errorf("%s: %+v, %v, want %+v", text, got, err, want)
		}
	}
}

func TestFaultsSayWhatToDo(t *testing.T) {
	for text, says := range map[string]string{
		"":                     "does not say what to compare with",
		"for 5m":               "does not say what to compare with",
		"95%":                  `"95%" is not understood`,
		">":                    "no value behind >",
		"> many":               `"many" is not a value`,
		"> 5 apples":           `"apples" is not understood`,
		"> 5apples":            `"5apples" is not a value`,
		"> 0.95 during 5m":     `"during" is not understood`,
		"> 0.95 for":           "no duration behind for",
		"> 0.95 for ever":      `"ever" is not a duration`,
		"> 0.95 for -5m":       `"-5m" is not a duration`,
		"> 0.95 for 5m for 6m": `"for" is not understood`,
		"> 1 > 2":              `">" is not understood`,
		"=> 5":                 `"=>" is not understood`,
		"> 0.95 within 24h":    `"within" is not understood`,
		"forecast > 0.95":      "within 24h",
		"> 1e999":              `"1e999" is not a value`,
		"> 1e300TiB":           `not a value`,
		"> inf":                "not a value",
		"> nan":                "not a value",
		"> .":                  "not a value",
		"> 0x10":               "not a value",
	} {
		got, err := Condition(text)
		if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), `write it like "> 95% for 5m"`) {
			t.Errorf("%q: %+v, %v, want %q", text, got, err, says)
		}
	}
	for _, text := range []string{"", "0.9", "< 1 < 2", "forecast within 1h < 1", "for"} {
		if got, err := Recovery(text); err == nil || !strings.Contains(err.Error(), `"for 2m"`) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "critical", "1m bad", "1m ok ok", "after", "1x"} {
		if got, err := NoData(text); err == nil || !strings.Contains(err.Error(), `"1m critical"`) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

func TestRecoveriesAndSilence(t *testing.T) {
	for text, want := range map[string]api.Recover{
		"< 90% for 2m": {Op: "<", Value: 0.9, For: "2m"}, "for 2 min": {For: "2m"}, "<=0.5": {Op: "<=", Value: 0.5},
	} {
		if got, err := Recovery(text); err != nil || *got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for text, want := range map[string]api.NoData{
		"1m": {After: "1m", Is: "critical"}, "after 90s is ok": {After: "90s", Is: "ok"}, "5 min keep": {After: "5m", Is: "keep"}, "5min": {After: "5m", Is: "critical"},
	} {
		if got, err := NoData(text); err != nil || *got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
}

func TestSay(t *testing.T) {
	c := &api.Condition{Op: ">", Value: 0.07, For: "5m"}
	for _, x := range [][2]string{
		{Say(c, "system.memory.utilization"), "> 7% for 5m"}, {Say(c, ""), "> 0.07 for 5m"}, {Say(nil, ""), ""},
		{Say(&api.Condition{Fn: "forecast", Within: "1d", Op: ">=", Value: 1e6, For: "0s"}, ""), "forecast within 1d >= 1000000"},
		{Say(&api.Condition{Op: "<", Value: 1e-9}, ""), "< 1e-09"}, {Say(&api.Condition{Op: "<", Value: 1. / 3}, "x.ratio"), "< 0.3333333333333333"},
		{Say(&api.Condition{Op: "<", Value: 14 * 86400}, "tls.certificate.remaining"), "< 14d"}, {Say(&api.Condition{Op: ">", Value: 0.25}, "http.duration"), "> 250ms"},
		{Say(&api.Condition{Op: ">", Value: 0.00025}, "http.duration"), "> 0.00025"}, {Say(&api.Condition{Op: ">", Value: -5}, "http.duration"), "> -5"},
		{SayRecovery(nil, ""), ""}, {SayRecovery(&api.Recover{For: "2m"}, ""), "for 2m"}, {SayRecovery(&api.Recover{Op: "<", Value: 0.9, For: "2m"}, "a.utilization"), "< 90% for 2m"},
		{SayNoData(nil), ""}, {SayNoData(&api.NoData{After: "1m", Is: "keep"}), "1m keep"},
	} {
		if x[0] != x[1] {
			t.Errorf("%q, want %q", x[0], x[1])
		}
	}
}

// FuzzPhrase holds that what was understood reads back as the same from what is written.
func FuzzPhrase(f *testing.F) {
	for _, s := range []string{"> 95% for 5m", "forecast within 24h > 0.95", "< -1e-300TiB", "1m critical", "for 2m", "above 1 min", "!=1e15", "> 7 %", "=0for1h"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, metric := range []string{"", "x.utilization", "x.duration"} {
			if c, err := Condition(s); err == nil {
				if math.IsInf(c.Value, 0) || math.IsNaN(c.Value) {
					t.Fatalf("%q is %g", s, c.Value)
				}
				if c.For == "0s" {
					c.For = ""
				}
				if again, err := Condition(Say(c, metric)); err != nil || *again != *c {
					t.Fatalf("%q is %+v, written %q, read back %+v, %v", s, c, Say(c, metric), again, err)
				}
			}
			if c, err := Recovery(s); err == nil && (c.Op != "" || c.For != "0s") {
				if c.For == "0s" {
					c.For = ""
				}
				if again, err := Recovery(SayRecovery(c, metric)); err != nil || *again != *c {
					t.Fatalf("%q is %+v, written %q, read back %+v, %v", s, c, SayRecovery(c, metric), again, err)
				}
			}
		}
		if c, err := NoData(s); err == nil {
			if again, err := NoData(SayNoData(c)); err != nil || *again != *c {
				t.Fatalf("%q is %+v, written %q, read back %+v, %v", s, c, SayNoData(c), again, err)
			}
		}
	})
}
