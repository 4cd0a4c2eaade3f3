package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"muster/api"
	"muster/client"
	"muster/internal/phrase"
	"muster/internal/sheet"
	"muster/internal/term"
)

func (a *app) checks() kind[api.CheckNew, api.Check] {
	return kind[api.CheckNew, api.Check]{
		app: a, verb: "check", one: "check", none: "There are no checks. `muster check add https://example.org/` makes one.",
		in: (*client.Client).Checks,
		said: func(c *api.Check) api.CheckNew {
			return api.CheckNew{Name: c.Name, Kind: c.Kind, Node: c.Node, Config: c.Config, Period: c.Period, Timeout: c.Timeout, Zones: c.Zones, Enabled: &c.Enabled}
		},
		meta: func(c *api.Check) (api.Object, string) { return c.Object, c.Status },
		table: func(all []api.Check, name func(string) string) *term.Table {
			return sheet.Checks(all, name, time.Now())
		},
		show: func(p term.Paper, c *api.Check, name func(string) string) {
			c.PushURL = a.absolute(c.PushURL)
			sheet.Check(p, c, name, time.Now())
		},
	}
}

func (a *app) checkCommand() *cobra.Command {
	k := a.checks()
	cmd := group("check", "Watch targets: web pages, ports, hosts, names, jobs", "")
	cmd.AddCommand(a.checkAdd(), k.ls(), k.shows(), a.checkTest(), a.checkResults(), k.rm(),
		k.turn("enable", func(c *api.CheckNew) { c.Enabled = ref(true) }), k.turn("disable", func(c *api.CheckNew) { c.Enabled = ref(false) }),
		k.edit("  muster check edit example.org --period 30s --expect-status 200-399\n  muster check edit example.org --set max_response_time=2s", func(f *pflag.FlagSet) func(asker, *api.CheckNew) error {
			o := &checkFlags{}
			o.register(f)
			return func(q asker, c *api.CheckNew) error { return a.applyCheck(o, q, c) }
		}))
	return cmd
}

func ref[T any](v T) *T { return &v }

// checkFlags say what a check is.
type checkFlags struct {
	configFlags
	name, kind, node, period, timeout string
	zones, headers                    []string
	method, expectStatus, match       string
	insecure, enabled                 bool
}

func (o *checkFlags) register(f *pflag.FlagSet) {
	f.StringVar(&o.name, "name", "", "its `name`; made of the target when there is none")
	f.StringVar(&o.node, "node", "", "the `node` it belongs to, by name or id")
	f.StringVar(&o.period, "period", "", "how `often` it runs: 1s to 1d")
	f.StringVar(&o.timeout, "timeout", "", "how `long` one run may take")
	f.StringSliceVar(&o.zones, "zone", nil, "`where` it runs; repeatable")
	f.StringVar(&o.method, "method", "", "http: the `method` of the request")
	f.StringArrayVar(&o.headers, "header", nil, "http: a header as `Name: value`, without value none; repeatable")
	f.StringVar(&o.expectStatus, "expect-status", "", "http: which `codes` are good: 200-299,404")
	f.StringVar(&o.match, "match", "", "http, tcp, dns: a regular `expression` that the answer must match")
	f.BoolVar(&o.insecure, "insecure", false, "http, tcp: take any certificate")
	f.BoolVar(&o.enabled, "enabled", true, "whether it runs")
	o.configFlags.register(f)
}

// applyCheck puts what the flags say into a check.
func (a *app) applyCheck(o *checkFlags, q asker, c *api.CheckNew) (err error) {
	for name, text := range map[string]struct {
		from string
		into *string
	}{"name": {o.name, &c.Name}, "period": {o.period, &c.Period}, "timeout": {o.timeout, &c.Timeout}} {
		if q.flags.Changed(name) {
			*text.into = text.from
		}
	}
	if q.flags.Changed("period") && !q.flags.Changed("timeout") && c.Timeout != "" {
		period, bad := api.ParseDuration(o.period)
		if timeout, _ := api.ParseDuration(c.Timeout); bad == nil && timeout >= period {
			c.Timeout = "" // the one that suits the period
		}
	}
	if q.flags.Changed("zone") {
		c.Zones = o.zones
	}
	if q.flags.Changed("enabled") {
		c.Enabled = &o.enabled
	}
	if q.flags.Changed("node") {
		if c.Node, err = nodeRef(q, o.node); err != nil {
			return err
		}
	}
	config, err := phrase.ReadFields(c.Config)
	if err != nil {
		return err
	}
	if err := o.applyKind(q.flags, c.Kind, config); err != nil {
		return err
	}
	if err := a.applyConfig(&o.configFlags, config); err != nil {
		return err
	}
	c.Config = config.Raw()
	return nil
}

// applyKind puts what the flags say into the fields of a kind.
func (o *checkFlags) applyKind(f *pflag.FlagSet, kind string, config phrase.Fields) error {
	if f.Changed("method") {
		config.Put("method", o.method)
	}
	if f.Changed("expect-status") {
		config.Put("expect_status", o.expectStatus)
	}
	if f.Changed("insecure") {
		config.Put("tls_skip_verify", o.insecure)
	}
	if f.Changed("match") {
		field := "body_match"
		switch kind {
		case "tcp":
			field = "expect"
		case "dns":
			field = "expect_match"
		}
		config.Put(field, o.match)
	}
	if len(o.headers) == 0 {
		return nil
	}
	headers := map[string]string{}
	_ = json.Unmarshal(config["headers"], &headers) // there may be none
	for _, text := range o.headers {
		name, value, ok := strings.Cut(text, ":")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return usagef("--header %q: write it like \"Accept: text/html\"", text)
		}
		if headers[name] = strings.TrimSpace(value); headers[name] == "" {
			delete(headers, name)
		}
	}
	config.Put("headers", headers)
	return nil
}

// guess makes a check of a target, of that kind where one is said.
func (o *checkFlags) guess(q asker, target string) (*api.CheckNew, error) {
	config := phrase.Fields{}
	host, scheme := target, ""
	if u, err := url.Parse(target); err == nil && u.Host != "" {
		host, scheme = u.Host, u.Scheme
	}
	switch o.kind {
	case "", "http":
		if o.kind == "http" && scheme == "" {
			target = "https://" + target
		}
		return q.GuessCheck(q, target)
	case "tcp":
		if _, _, err := net.SplitHostPort(host); err != nil && (scheme == "https" || scheme == "http") {
			host += map[string]string{"https": ":443", "http": ":80"}[scheme]
		}
		return q.GuessCheck(q, "tcp://"+host)
	case "ping":
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		return q.GuessCheck(q, "ping://"+host)
	case "dns":
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		config.Put("query", host)
		return &api.CheckNew{Kind: o.kind, Config: config.Raw()}, nil
	case "push":
		return &api.CheckNew{Kind: o.kind, Name: target, Config: config.Raw()}, nil
	}
	return nil, usagef("--kind %q: it must be http, tcp, ping, dns or push", o.kind)
}

func (o *checkFlags) registerKind(cmd *cobra.Command) {
	o.register(cmd.Flags())
	cmd.Flags().StringVar(&o.kind, "kind", "", "http, tcp, ping, dns or push; guessed from the target when there is none")
	_ = cmd.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions([]string{"http", "tcp", "ping", "dns", "push"}, cobra.ShellCompDirectiveNoFileComp))
}

func (a *app) checkAdd() *cobra.Command {
	o := &checkFlags{}
	test := false
	cmd := &cobra.Command{
		Use: "add TARGET", Short: "Watch a target: a URL, host:port or host", Args: args(1, 1),
		Long: "Watch a target. What it is says the kind: a URL is asked by http, host:port by tcp, a host by ping.\n" +
			"With --kind push TARGET is the name of a job that calls a URL when it is done; silence is the failure.",
		Example: "  muster check add https://example.org/ --test --match 'Example Domain'\n  muster check add db-1:5432 --node db-1 --period 30s\n" +
			"  muster check add example.org --kind dns --set type=MX\n  muster check add nightly-backup --kind push --period 1d --set grace=1h",
		RunE: a.with(func(q asker, args []string) error {
			said, err := o.guess(q, args[0])
			if err == nil {
				err = a.applyCheck(o, q, said)
			}
			if err != nil {
				return err
			}
			if test {
				r, err := q.TestCheck(q, *said)
				if err != nil {
					return err
				}
				p := a.Paper
				if a.output != "table" { // what is made goes to where it is read from
					p = term.Paper{Out: a.err}
				}
				sheet.Result(p, r, time.Now())
				p.Line("")
			}
			made, err := q.Checks().New(q, *said)
			if err != nil {
				return err
			}
			return a.print(made, []string{made.Name}, func() {
				a.Line("%s is checked every %s (%s, %s)", term.Clean(made.Name), made.Period, made.Kind, made.ID)
				if made.PushURL != "" {
					a.Line("\nThe job calls this when it is done:\n\n  curl -fsS -X POST %s\n", a.absolute(made.PushURL))
				}
			})
		}),
	}
	o.registerKind(cmd)
	cmd.Flags().BoolVar(&test, "test", false, "first run it once and show what comes of it")
	return cmd
}

func (a *app) checkTest() *cobra.Command {
	o := &checkFlags{}
	cmd := &cobra.Command{
		Use: "test CHECK|TARGET", Short: "Run a check once and show what comes of it: status, times, certificate", Args: args(1, 1), ValidArgsFunction: a.checks().complete,
		Long:    "Run a check once, as it is or as flags change it, or one of a target that is not watched. Nothing is kept.\nThe exit code is 1 when the target is critical or could not be looked at.",
		Example: "  muster check test https://example.org/\n  muster check test example.org --timeout 1s",
		RunE: a.with(func(q asker, args []string) error {
			said, err := a.checkToTest(o, q, args[0])
			if err == nil {
				err = a.applyCheck(o, q, said)
			}
			if err != nil {
				return err
			}
			r, err := q.TestCheck(q, *said)
			if err != nil {
				return err
			}
			if err := a.print(r, []string{r.Status}, func() { sheet.Result(a.Paper, r, time.Now()) }); err != nil {
				return err
			}
			if r.Status == "critical" || r.Status == "unknown" {
				return errShown
			}
			return nil
		}),
	}
	o.registerKind(cmd)
	return cmd
}

// checkToTest gives the check of that name or id, and where there is none the one that a target stands for.
func (a *app) checkToTest(o *checkFlags, q asker, text string) (*api.CheckNew, error) {
	c, err := q.Checks().Find(q, text)
	switch {
	case err == nil && o.kind == "":
		said := a.checks().said(c)
		return &said, nil
	case err != nil && !isMissing(err):
		return nil, err
	}
	return o.guess(q, text)
}

func (a *app) checkResults() *cobra.Command {
	most := 0
	cmd := &cobra.Command{
		Use: "results CHECK", Short: "List what the runs of a check gave, the newest first", Args: args(1, 1), ValidArgsFunction: a.checks().complete,
		RunE: a.with(func(q asker, args []string) error {
			c, err := a.checks().find(q, args[0])
			if err != nil {
				return err
			}
			results, err := collect(q.Results(q, c.ID, client.ListOptions{Limit: min(most, api.MaxLimit)}), most)
			if err != nil {
				return err
			}
			statuses := ids(results, func(r api.Result) string { return r.Status })
			return a.print(results, statuses, func() {
				if len(results) == 0 {
					fmt.Fprintln(a.err, "It has not run yet.")
					return
				}
				sheet.Results(results).Write(a.Paper)
			})
		}),
	}
	cmd.Flags().IntVarP(&most, "limit", "n", 20, "show at most so many; all when 0")
	return cmd
}
