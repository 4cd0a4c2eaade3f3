package rest

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"muster"
	"muster/api"
)

//go:embed join.sh
var joinText string

func (a *API) agentRoutes() {
	a.script = template.Must(template.New("join.sh").Parse(joinText))
	a.mux.HandleFunc("GET "+api.PathJoin+"/{token}", a.join)
	a.mux.HandleFunc("GET "+api.PathDownload+"/SHA256SUMS", a.checksums)
	a.mux.HandleFunc("GET "+api.PathDownload+"/{file}", a.download)
}

// agents gives the agents to download.
func (a *API) agents() []AgentFile {
	if a.o.Agents == nil {
		return nil
	}
	return a.o.Agents.Agents()
}

// name is what an agent's file is called: muster-agent-linux-amd64.
func (f AgentFile) name() string { return "muster-agent-" + f.OS + "-" + f.Arch }

// What goes into a shell script or a line to paste holds none of the shell's own characters.
var (
	plainToken = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,200}$`)
	plainHost  = regexp.MustCompile(`^https?://[A-Za-z0-9._-]+(:[0-9]{1,5})?(/[A-Za-z0-9._/-]*)?$|^https?://\[[0-9a-fA-F:.]+\](:[0-9]{1,5})?(/[A-Za-z0-9._/-]*)?$`)
	plainSum   = regexp.MustCompile(`^[0-9a-f]{64}$`)
	plainName  = regexp.MustCompile(`^[a-z0-9_]{1,20}$`)
)

func plainURL(s string) bool { return len(s) <= 300 && plainHost.MatchString(s) }

// BaseURL finds the server's address as the caller sees it.
type BaseURL struct{ url string }

// Resolve reads it from the request.
func (b *BaseURL) Resolve(ctx huma.Context) []error {
	b.url = addressOf(ctx.Host(), ctx.TLS() != nil || ctx.Header("X-Forwarded-Proto") == "https")
	if b.url == "" {
		return []error{&huma.ErrorDetail{Location: "header.Host", Message: "is not a server's address"}}
	}
	return nil
}

// of gives the address: the configured one when there is one.
func (b *BaseURL) of(a *API) string {
	if a.o.PublicURL != "" {
		return a.o.PublicURL
	}
	return b.url
}

func addressOf(host string, secure bool) string {
	url := "http://" + host
	if secure {
		url = "https://" + host
	}
	if !plainURL(url) {
		return ""
	}
	return url
}

// pin gives the SHA-256 of the certificate that agents are to pin, in hexadecimal; "" when there is none.
func (a *API) pin(base string) string {
	der := a.o.Certificate()
	if der == nil || !strings.HasPrefix(base, "https://") {
		return ""
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// joinCommand gives the line to paste on a new machine. When the server's certificate is its own, nothing
// on the machine trusts it yet: then the line carries the script's hash, and the script the agent's.
func (a *API) joinCommand(base, token string) (string, error) {
	from := base + api.PathJoin + "/" + token
	if a.pin(base) == "" {
		return "curl -fsS " + from + " | sudo sh", nil
	}
	script := sha256.New()
	if err := a.script.Execute(script, a.joinScript(base, token)); err != nil {
		return "", fmt.Errorf("rest: write the join script: %w", err)
	}
	return fmt.Sprintf("curl -fsSk %s >join.sh && echo '%x  join.sh' | sha256sum -c && sudo sh join.sh", from, script.Sum(nil)), nil
}

// joinScript fills the script for an invitation that holds.
func (a *API) joinScript(base, token string) joinScript {
	s := joinScript{Server: base, Token: token, Pin: a.pin(base), Download: api.PathDownload}
	var names []string
	for _, f := range a.agents() {
		if plainName.MatchString(f.OS) && plainName.MatchString(f.Arch) && plainSum.MatchString(f.SHA256) {
			s.Agents = append(s.Agents, joinAgent{f.OS + "-" + f.Arch, f.SHA256})
			names = append(names, f.OS+"-"+f.Arch)
		}
	}
	s.Available = strings.Join(names, ", ")
	return s
}

// joinScript is what the script's template is filled with; nothing in it needs quoting.
type joinScript struct {
	Server, Token string
	Pin           string // the SHA-256 of the certificate to pin; empty for none
	Agents        []joinAgent
	Available     string // the targets, for reading
	Refused       string // why the invitation does not hold; empty when it does
	Download      string
}

type joinAgent struct{ Target, Sum string }

// join gives the shell script that installs the agent and lets it join.
func (a *API) join(w http.ResponseWriter, r *http.Request) {
	base, token := a.o.PublicURL, r.PathValue("token")
	if base == "" {
		base = addressOf(r.Host, r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https")
	}
	if base == "" || !plainToken.MatchString(token) {
		writeProblem(w, newFault(http.StatusNotFound, "This is not an invitation; make a new one."))
		return
	}
	s := a.joinScript(base, token)
	var err error
	if s.Refused, err = a.refused(r, token); err != nil {
		writeProblem(w, a.toFault(r.Context(), err))
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/x-shellscript; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	if err := a.script.Execute(w, s); err != nil {
		a.log.WarnContext(r.Context(), "rest: write the join script", "error", err)
	}
}

// refused says in words why an invitation does not hold; "" when it does. Using it is the gateway's.
func (a *API) refused(r *http.Request, token string) (string, error) {
	sum := sha256.Sum256([]byte(token))
	e, err := a.o.Store.EnrollmentByHash(r.Context(), sum[:])
	switch {
	case errors.Is(err, muster.ErrNotFound):
		return "the server does not know this invitation, or it was taken back or used up", nil
	case err != nil:
		return "", err
	case e.UsesLeft <= 0:
		return "this invitation was used up", nil
	case !a.o.Now().Before(e.ExpiresAt):
		return "this invitation ended at " + e.ExpiresAt.UTC().Format(time.RFC3339), nil
	}
	return "", nil
}

// checksums lists the agents' hashes as sha256sum -c reads them.
func (a *API) checksums(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	for _, f := range a.agents() {
		if _, err := fmt.Fprintf(w, "%s  %s\n", f.SHA256, f.name()); err != nil {
			return
		}
	}
}

// download gives one agent, or its checksum when ".sha256" stands behind the name.
func (a *API) download(w http.ResponseWriter, r *http.Request) {
	name, onlySum := strings.CutSuffix(r.PathValue("file"), ".sha256")
	agents := a.agents()
	at := slices.IndexFunc(agents, func(f AgentFile) bool { return f.name() == name })
	if at < 0 {
		writeProblem(w, newFault(http.StatusNotFound, "There is no such agent here; "+api.PathDownload+"/SHA256SUMS lists them."))
		return
	}
	f := agents[at]
	h := w.Header()
	if onlySum {
		h.Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = fmt.Fprintf(w, "%s  %s\n", f.SHA256, f.name())
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
		a.log.ErrorContext(r.Context(), "rest: open an agent", "agent", f.name(), "error", err)
		writeProblem(w, newFault(http.StatusServiceUnavailable, "The agent can't be read now.").with("Retry-After", retryAfter))
		return
	}
	defer func() { _ = body.Close() }()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Length", strconv.FormatInt(f.Size, 10))
	h.Set("Content-Disposition", `attachment; filename="`+f.name()+`"`)
	if _, err := io.Copy(w, body); err != nil {
		a.log.DebugContext(r.Context(), "rest: send an agent", "agent", f.name(), "error", err)
	}
}
