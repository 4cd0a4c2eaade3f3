package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"muster"
)

// findService finds out what starts services here.
func findService() (service, error) {
	if runtime.GOOS == "linux" {
		if _, err := os.Stat("/run/systemd/system"); err == nil {
			return systemd{unit: "/etc/systemd/system/muster-agent.service", command: execute}, nil
		}
		for _, dir := range []string{"/etc/service", "/service", "/var/service"} {
			if _, err := os.Stat(dir); err == nil && runs("/proc", "runsvdir") {
				return runit{definition: "/etc/sv/muster-agent", scanned: filepath.Join(dir, "muster-agent"), command: execute}, nil
			}
		}
	}
	return nil, fmt.Errorf("%w: neither systemd nor runit runs here; start the agent with --foreground from whatever starts services", muster.ErrUnavailable)
}

// runs says whether a process of that name runs: a machine may have runit on its disk without using it.
func runs(proc, name string) bool {
	processes, _ := filepath.Glob(filepath.Join(proc, "[0-9]*", "comm"))
	for _, file := range processes {
		if comm, err := os.ReadFile(file); err == nil && strings.TrimSpace(string(comm)) == name {
			return true
		}
	}
	return false
}

// execute runs a program; its output is in the error.
func execute(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %w: %s", name, strings.Join(args, " "), muster.ErrUnavailable, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// arguments are those of the service: all but the token, which the identity makes needless.
func (s *settings) arguments() []string {
	args := []string{"--server", s.server, "--state", s.state, "--period", s.period.String()}
	if s.hostname != "" {
		args = append(args, "--hostname", s.hostname)
	}
	return args
}

// systemd is the service manager of that name.
type systemd struct {
	unit    string
	command func(name string, args ...string) error
}

func (systemd) name() string { return "systemd" }

func (systemd) logs() string { return "journalctl -u muster-agent -f" }

// unitText is the unit. The agent reads /proc and asks filesystems how full they are; it may write its
// state directory and nothing else. What would hide filesystems or the kernel's files from it stays off.
func unitText(program string, s *settings) string {
	quoted := make([]string, 0, 8)
	for _, arg := range s.arguments() {
		quoted = append(quoted, unitQuote(arg))
	}
	state := "StateDirectory=" + unitQuote(filepath.Base(s.state))
	if filepath.Dir(s.state) != "/var/lib" {
		state = "ReadWritePaths=" + unitQuote(s.state)
	} else {
		state = "DynamicUser=yes\n" + state
	}
	return `[Unit]
Description=Muster agent
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=` + program + " " + strings.Join(quoted, " ") + `
Restart=always
RestartSec=5
RestartPreventExitStatus=2 4
TimeoutStopSec=15
` + state + `
StateDirectoryMode=0700
UMask=0077
CapabilityBoundingSet=
AmbientCapabilities=
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=read-only
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
MemoryMax=128M
TasksMax=64
Nice=5

[Install]
WantedBy=multi-user.target
`
}

// unitQuote writes one argument of a unit: quoted, without specifiers and variables.
func unitQuote(s string) string {
	s = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%", "$", "$$", "\n", " ").Replace(s)
	if strings.ContainsAny(s, ` "';`) || s == "" {
		return `"` + s + `"`
	}
	return s
}

func (d systemd) install(program string, s *settings) error {
	if err := os.WriteFile(d.unit, []byte(unitText(program, s)), 0o644); err != nil {
		return fmt.Errorf("write %s: %w: %w", d.unit, muster.ErrUnavailable, err)
	}
	if err := d.command("systemctl", "daemon-reload"); err != nil {
		return err
	}
	if err := d.command("systemctl", "enable", "muster-agent"); err != nil {
		return err
	}
	return d.command("systemctl", "restart", "muster-agent")
}

func (d systemd) exists() bool {
	_, err := os.Stat(d.unit)
	return !errors.Is(err, fs.ErrNotExist)
}

func (d systemd) stop() error {
	if !d.exists() {
		return nil
	}
	return d.command("systemctl", "stop", "muster-agent")
}

func (d systemd) start() error {
	if !d.exists() {
		return nil
	}
	return d.command("systemctl", "start", "muster-agent")
}

func (d systemd) uninstall() error {
	if !d.exists() {
		return nil
	}
	if err := d.command("systemctl", "disable", "--now", "muster-agent"); err != nil {
		return err
	}
	if err := os.Remove(d.unit); err != nil {
		return fmt.Errorf("remove %s: %w: %w", d.unit, muster.ErrUnavailable, err)
	}
	return d.command("systemctl", "daemon-reload")
}

// runit is the service manager of that name.
type runit struct {
	definition, scanned string
	command             func(name string, args ...string) error
}

func (runit) name() string { return "runit" }

func (r runit) logs() string { return "tail -F /var/log/muster-agent/current" }

func (r runit) install(program string, s *settings) error {
	quoted := make([]string, 0, 8)
	for _, arg := range s.arguments() {
		quoted = append(quoted, shellQuote(arg))
	}
	files := map[string]string{
		"run":     "#!/bin/sh\nexec 2>&1\numask 077\nexec " + shellQuote(program) + " " + strings.Join(quoted, " ") + "\n",
		"log/run": "#!/bin/sh\nmkdir -p /var/log/muster-agent\nexec svlogd -tt /var/log/muster-agent\n",
	}
	for name, content := range files {
		path := filepath.Join(r.definition, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err == nil {
			err = os.WriteFile(path, []byte(content), 0o755)
		}
		if err != nil {
			return fmt.Errorf("write %s: %w: %w", path, muster.ErrUnavailable, err)
		}
	}
	if err := os.Symlink(r.definition, r.scanned); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("start the service: %w: %w", muster.ErrUnavailable, err)
	}
	return r.wait()
}

// runit looks for changes every five seconds.
const runitPatience, runitPause = 10 * time.Second, 250 * time.Millisecond

// wait asks runit until the service runs.
func (r runit) wait() (err error) {
	for range int(runitPatience / runitPause) {
		if err = r.command("sv", "start", r.scanned); err == nil {
			return nil
		}
		time.Sleep(runitPause)
	}
	return err
}

func (r runit) exists() bool {
	_, err := os.Lstat(r.scanned)
	return !errors.Is(err, fs.ErrNotExist)
}

func (r runit) stop() error {
	if !r.exists() {
		return nil
	}
	const patience = 15
	return r.command("sv", "-w", strconv.Itoa(patience), "stop", r.scanned)
}

func (r runit) start() error {
	if !r.exists() {
		return nil
	}
	return r.wait()
}

func (r runit) uninstall() error {
	if !r.exists() {
		return nil
	}
	if err := r.stop(); err != nil {
		return err
	}
	if err := os.Remove(r.scanned); err != nil {
		return fmt.Errorf("remove the service: %w: %w", muster.ErrUnavailable, err)
	}
	_ = r.command("sv", "exit", r.definition) // its supervisor ends by itself anyway
	return r.forget()
}

// forget removes the definition, in which the supervisor writes until it has ended.
func (r runit) forget() (err error) {
	for range int(runitPatience / runitPause) {
		if err = os.RemoveAll(r.definition); err == nil {
			return nil
		}
		time.Sleep(runitPause)
	}
	return fmt.Errorf("remove the service: %w: %w", muster.ErrUnavailable, err)
}

// shellQuote writes one word of a shell's command.
func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
