package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"muster"
)

func TestFlagsAndTheirEnvironment(t *testing.T) {
	env := map[string]string{
		"MUSTER_AGENT_SERVER": "https://env.example", "MUSTER_AGENT_TOKEN": "from-env", "MUSTER_AGENT_PERIOD": "30s",
		"MUSTER_AGENT_STATE": "/tmp/x", "MUSTER_AGENT_FOREGROUND": "true",
	}
	var out bytes.Buffer
	s, err := parse([]string{"--server", "https://flag.example", "--pin=ab"}, func(k string) string { return env[k] }, &out)
	if err != nil {
		t.Fatal(err)
	}
	want := settings{server: "https://flag.example", token: "from-env", state: "/tmp/x", pin: "ab", period: 30 * time.Second, foreground: true}
	if *s != want {
		t.Errorf("got %+v, want %+v", *s, want)
	}
}

func TestWrongUsageSaysSo(t *testing.T) {
	for name, c := range map[string]struct {
		args  []string
		env   string
		code  int
		words string
	}{
		"flag":      {[]string{"--nonsense"}, "", exitUsage, "nonsense"},
		"verb":      {[]string{"dance"}, "", exitUsage, `"dance"`},
		"rest":      {[]string{"--server", "http://x", "more"}, "", exitUsage, `"more"`},
		"no server": {nil, "", exitUsage, "--server URL is needed"},
		"period":    {[]string{"--server", "http://x"}, "soon", exitUsage, "MUSTER_AGENT_PERIOD=soon"},
		"url":       {[]string{"--server", "x.example", "--token", "t"}, "", exitUsage, "not the URL of a server"},
		"no token":  {[]string{"--server", "http://x.example"}, "", exitDenied, "needs a token"},
		"help":      {[]string{"--help"}, "", exitFine, "MUSTER_AGENT_SERVER"},
		"version":   {[]string{"version"}, "", exitFine, "muster-agent dev"},
	} {
		t.Run(name, func(t *testing.T) {
			state := t.TempDir()
			var out bytes.Buffer
			code := run(c.args, func(key string) string {
				switch key {
				case "MUSTER_AGENT_PERIOD":
					return c.env
				case "MUSTER_AGENT_STATE":
					return state
				}
				return ""
			}, &out)
			if code != c.code || !strings.Contains(out.String(), c.words) {
				t.Errorf("exit code %d, want %d; it says\n%s", code, c.code, out.String())
			}
		})
	}
}

func example() *settings {
	return &settings{server: "https://m.example", token: "secret", state: "/var/lib/muster-agent", hostname: `a "b" 100%`, period: 10 * time.Second}
}

func TestTheUnitIsHardenedAndHasNoSecret(t *testing.T) {
	unit := unitText("/usr/local/bin/muster-agent", example())
	for _, want := range []string{
		`ExecStart=/usr/local/bin/muster-agent --server https://m.example --state /var/lib/muster-agent --period 10s --hostname "a \"b\" 100%%"`,
		"DynamicUser=yes\nStateDirectory=muster-agent\n", "NoNewPrivileges=yes", "ProtectSystem=strict", "WantedBy=multi-user.target",
	} {
		if !strings.Contains(unit, want) {
			t.Errorf("the unit lacks %q:\n%s", want, unit)
		}
	}
	if strings.Contains(unit, "secret") {
		t.Error("the token is in the unit, which everybody may read")
	}
	elsewhere := example()
	elsewhere.state = "/srv/agent"
	if unit := unitText("/x", elsewhere); !strings.Contains(unit, "ReadWritePaths=/srv/agent") || strings.Contains(unit, "DynamicUser") {
		t.Errorf("with a state directory elsewhere:\n%s", unit)
	}
}

// recorder stands for the service manager's programs.
type recorder struct {
	calls []string
	fail  string
}

func (r *recorder) run(name string, args ...string) error {
	call := name + " " + strings.Join(args, " ")
	r.calls = append(r.calls, call)
	if r.fail != "" && strings.Contains(call, r.fail) {
		return errors.Join(muster.ErrUnavailable)
	}
	return nil
}

func TestSystemdInstallsAndUninstalls(t *testing.T) {
	commands := &recorder{}
	d := systemd{unit: filepath.Join(t.TempDir(), "muster-agent.service"), command: commands.run}
	if err := d.uninstall(); err != nil || len(commands.calls) != 0 {
		t.Errorf("nothing to remove: %v, %v", err, commands.calls)
	}
	if err := d.install("/x", example()); err != nil {
		t.Fatal(err)
	}
	if err := d.uninstall(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(d.unit); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the unit is still there: %v", err)
	}
	want := "systemctl daemon-reload|systemctl enable muster-agent|systemctl restart muster-agent|systemctl disable --now muster-agent|systemctl daemon-reload"
	if got := strings.Join(commands.calls, "|"); got != want {
		t.Errorf("got %s", got)
	}
	commands.fail = "enable"
	if err := d.install("/x", example()); !errors.Is(err, muster.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

func TestAServiceIsStoppedAndStartedOnlyWhenThereIsOne(t *testing.T) {
	dir := t.TempDir()
	commands := &recorder{}
	d := systemd{unit: filepath.Join(dir, "muster-agent.service"), command: commands.run}
	r := runit{definition: filepath.Join(dir, "sv/muster-agent"), scanned: filepath.Join(dir, "muster-agent"), command: commands.run}
	for _, s := range []service{d, r} {
		commands.calls = nil
		if err := errors.Join(s.stop(), s.start()); err != nil || len(commands.calls) != 0 {
			t.Errorf("%s: %v, %v", s.name(), err, commands.calls)
		}
		if err := errors.Join(s.install("/x", example()), s.stop(), s.start()); err != nil {
			t.Errorf("%s: %v", s.name(), err)
		}
		if got := strings.Join(commands.calls, "|"); !strings.Contains(got, " stop ") || !strings.Contains(got, " start ") {
			t.Errorf("%s: %s", s.name(), got)
		}
	}
}

func TestRunitInstallsAndUninstalls(t *testing.T) {
	dir := t.TempDir()
	commands := &recorder{}
	r := runit{definition: filepath.Join(dir, "sv/muster-agent"), scanned: filepath.Join(dir, "muster-agent"), command: commands.run}
	if err := r.install("/opt/it's here/muster-agent", example()); err != nil {
		t.Fatal(err)
	}
	if err := r.install("/opt/it's here/muster-agent", example()); err != nil { // again
		t.Fatal(err)
	}
	run, err := os.ReadFile(filepath.Join(r.scanned, "run"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(run), `exec '/opt/it'\''s here/muster-agent' '--server' 'https://m.example'`) || strings.Contains(string(run), "secret") {
		t.Errorf("run is\n%s", run)
	}
	if info, err := os.Stat(filepath.Join(r.definition, "log/run")); err != nil || info.Mode()&0o100 == 0 {
		t.Errorf("log/run: %v", err)
	}
	if err := r.uninstall(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(r.scanned); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the service is still there: %v", err)
	}
	if err := r.uninstall(); err != nil {
		t.Errorf("a second time: %v", err)
	}
}
