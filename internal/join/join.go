// Package join gives what a new machine fetches: the script that lets it join, the agents for its kind of
// machine, and their checksums. It asks nobody who they are: an invitation's token is all a machine has.
package join

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"

	"muster"
	"muster/api"
)

//go:embed join.sh
var scriptText string

// Agents lists the agents that machines may download.
type Agents interface {
	Agents() []File
}

// File is one agent to download.
type File struct {
	OS     string // "linux"
	Arch   string // as Go calls it: "amd64", "arm64"
	Size   int64  // bytes
	SHA256 string // hexadecimal
	Open   func() (io.ReadCloser, error)
}

// Name is what an agent's file is called: muster-agent-linux-amd64.
func (f File) Name() string { return "muster-agent-" + f.OS + "-" + f.Arch }

// Options are the doors and settings of a Desk; Invitation and Refuse are needed.
type Options struct {
	Agents Agents // none when nil
	// Invitation finds an enrollment by the SHA-256 of its token; the error wraps muster.ErrNotFound.
	Invitation func(ctx context.Context, hash []byte) (*muster.Enrollment, error)
	// Refuse answers with a status and words, or with what err stands for when it is not nil.
	Refuse func(w http.ResponseWriter, r *http.Request, status int, detail string, err error)
	// Certificate gives, in DER, the certificate that new agents must pin; nil when there is none.
	Certificate func() []byte
	PublicURL   string           // the server's address as others see it; read from the request when empty
	Now         func() time.Time // the clock; time.Now when nil
	Logger      *slog.Logger     // discarded when nil
}

// Desk answers the machines that join.
type Desk struct {
	o      Options
	log    *slog.Logger
	script *template.Template
}

// New makes a desk; the error wraps muster.ErrInvalid.
func New(o Options) (*Desk, error) {
	if o.Invitation == nil || o.Refuse == nil {
		return nil, fmt.Errorf("join: options: %w: Invitation and Refuse are needed", muster.ErrInvalid)
	}
	if o.PublicURL = strings.TrimRight(o.PublicURL, "/"); o.PublicURL != "" && !plainURL(o.PublicURL) {
		return nil, fmt.Errorf("join: options: %w: the public URL %q is not an address like https://muster.example.com", muster.ErrInvalid, o.PublicURL)
	}
	if o.Certificate == nil {
		o.Certificate = func() []byte { return nil }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	script, err := template.New("join.sh").Parse(scriptText)
	if err != nil {
		return nil, fmt.Errorf("join: read the script: %w", err)
	}
	return &Desk{o: o, log: o.Logger, script: script}, nil
}

// Routes adds the desk's pages to a mux.
func (d *Desk) Routes(mux *http.ServeMux) {
	mux.HandleFunc("GET "+api.PathJoin+"/{token}", d.join)
	mux.HandleFunc("GET "+api.PathDownload+"/SHA256SUMS", d.checksums)
	mux.HandleFunc("GET "+api.PathDownload+"/{file}", d.download)
}

func (d *Desk) agents() []File {
	if d.o.Agents == nil {
		return nil
	}
	return d.o.Agents.Agents()
}

// Base gives the server's address as a caller sees it, who said this host and did or did not use TLS; ""
// when the host is no address. The public URL wins when there is one.
func (d *Desk) Base(host string, secure bool) string {
	if d.o.PublicURL != "" {
		return d.o.PublicURL
	}
	url := "http://" + host
	if secure {
		url = "https://" + host
	}
	if !plainURL(url) {
		return ""
	}
	return url
}

// What goes into a shell script or a line to paste holds none of the shell's own characters.
var (
	plainToken = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,200}$`)
	plainHost  = regexp.MustCompile(`^https?://[A-Za-z0-9._-]+(:[0-9]{1,5})?(/[A-Za-z0-9._/-]*)?$|^https?://\[[0-9a-fA-F:.]+\](:[0-9]{1,5})?(/[A-Za-z0-9._/-]*)?$`)
	plainSum   = regexp.MustCompile(`^[0-9a-f]{64}$`)
	plainName  = regexp.MustCompile(`^[a-z0-9_]{1,20}$`)
)

func plainURL(s string) bool { return len(s) <= 300 && plainHost.MatchString(s) }

// pin gives the SHA-256 of the certificate that agents are to pin, in hexadecimal; "" when there is none.
func (d *Desk) pin(base string) string {
	der := d.o.Certificate()
	if der == nil || !strings.HasPrefix(base, "https://") {
		return ""
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// Command gives the line to paste on a new machine. When the server's certificate is its own, nothing
// on the machine trusts it yet: then the line carries the script's hash, and the script the agent's.
func (d *Desk) Command(base, token string) (string, error) {
	from := base + api.PathJoin + "/" + token
	if d.pin(base) == "" {
		return "curl -fsS " + from + " | sudo sh", nil
	}
	sum := sha256.New()
	if err := d.script.Execute(sum, d.fill(base, token)); err != nil {
		return "", fmt.Errorf("join: write the join script: %w", err)
	}
	return fmt.Sprintf("curl -fsSk %s >join.sh && echo '%x  join.sh' | sha256sum -c && sudo sh join.sh", from, sum.Sum(nil)), nil
}

// fill fills the script for an invitation that holds.
func (d *Desk) fill(base, token string) script {
	s := script{Server: base, Token: token, Pin: d.pin(base), Download: api.PathDownload}
	var names []string
	for _, f := range d.agents() {
		if plainName.MatchString(f.OS) && plainName.MatchString(f.Arch) && plainSum.MatchString(f.SHA256) {
			s.Agents = append(s.Agents, agent{f.OS + "-" + f.Arch, f.SHA256})
			names = append(names, f.OS+"-"+f.Arch)
		}
	}
	s.Available = strings.Join(names, ", ")
	return s
}

// script is what the script's template is filled with; nothing in it needs quoting.
type script struct {
	Server, Token string
	Pin           string // the SHA-256 of the certificate to pin; empty for none
	Agents        []agent
	Available     string // the targets, for reading
	Refused       string // why the invitation does not hold; empty when it does
	Download      string
}

type agent struct{ Target, Sum string }

// join gives the shell script that installs the agent and lets it join.
func (d *Desk) join(w http.ResponseWriter, r *http.Request) {
	base, token := d.Base(r.Host, r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https"), r.PathValue("token")
	if base == "" || !plainToken.MatchString(token) {
		d.o.Refuse(w, r, http.StatusNotFound, "This is not an invitation; make a new one.", nil)
		return
	}
	s := d.fill(base, token)
	var err error
	if s.Refused, err = d.refused(r, token); err != nil {
		d.o.Refuse(w, r, 0, "", err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/x-shellscript; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	if err := d.script.Execute(w, s); err != nil {
		d.log.WarnContext(r.Context(), "join: write the join script", "error", err)
	}
}

// refused says in words why an invitation does not hold; "" when it does. Using it is the gateway's.
func (d *Desk) refused(r *http.Request, token string) (string, error) {
	sum := sha256.Sum256([]byte(token))
	e, err := d.o.Invitation(r.Context(), sum[:])
	switch {
	case errors.Is(err, muster.ErrNotFound):
		return "the server does not know this invitation, or it was taken back or used up", nil
	case err != nil:
		return "", err
	case e.UsesLeft <= 0:
		return "this invitation was used up", nil
	case !d.o.Now().Before(e.ExpiresAt):
		return "this invitation ended at " + e.ExpiresAt.UTC().Format(time.RFC3339), nil
	}
	return "", nil
}

// checksums lists the agents' hashes as sha256sum -c reads them.
func (d *Desk) checksums(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	for _, f := range d.agents() {
		if _, err := fmt.Fprintf(w, "%s  %s\n", f.SHA256, f.Name()); err != nil {
			return
		}
	}
}

// download gives one agent, or its checksum when ".sha256" stands behind the name.
func (d *Desk) download(w http.ResponseWriter, r *http.Request) {
	name, onlySum := strings.CutSuffix(r.PathValue("file"), ".sha256")
	agents := d.agents()
	at := slices.IndexFunc(agents, func(f File) bool { return f.Name() == name })
	if at < 0 {
		d.o.Refuse(w, r, http.StatusNotFound, "There is no such agent here; "+api.PathDownload+"/SHA256SUMS lists them.", nil)
		return
	}
	f := agents[at]
	h := w.Header()
	if onlySum {
		h.Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = fmt.Fprintf(w, "%s  %s\n", f.SHA256, f.Name())
		return
	}
	h.Set("ETag", strconv.Quote(f.SHA256))
	h.Set("X-Checksum-Sha256", f.SHA256)
	if r.Header.Get("If-None-Match") == strconv.Quote(f.SHA256) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body, err := f.Open()
	if err != nil {
		d.o.Refuse(w, r, 0, "", fmt.Errorf("join: open %s: %w: the agent can't be read now: %w", f.Name(), muster.ErrUnavailable, err))
		return
	}
	defer func() { _ = body.Close() }()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Length", strconv.FormatInt(f.Size, 10))
	h.Set("Content-Disposition", `attachment; filename="`+f.Name()+`"`)
	if _, err := io.Copy(w, body); err != nil {
		d.log.DebugContext(r.Context(), "join: send an agent", "agent", f.Name(), "error", err)
	}
}
