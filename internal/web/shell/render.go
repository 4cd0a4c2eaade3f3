package shell

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"strconv"
)

// frame is what layout.html is filled with.
type frame struct {
	Page   Page
	Body   any
	Viewer Viewer
	Nav    []navLink
	Flash  *Flash
	Shell  *Shell
	Theme  string
}

type navLink struct {
	NavItem
	Count   Count
	Current bool
}

// Render writes a whole page: the frame, filled with the page's body. A template that fails makes an error page
// and a line in the log; nothing half-written leaves.
func (v *View[T]) Render(w http.ResponseWriter, r *http.Request, page Page, body *T) {
	f := v.shell.frame(w, r, page, body)
	var b bytes.Buffer
	if err := v.tmpl.ExecuteTemplate(&b, "layout.html", f); err != nil {
		v.shell.opts.Logger.Error("shell: render", "page", page.Title, "error", err)
		v.shell.Fail(w, r, err)
		return
	}
	status := page.Status
	if status == 0 {
		status = http.StatusOK
	}
	v.shell.WriteHTML(w, r, status, b.Bytes())
}

// Part writes one named template of the view without the frame: the answer to a partial update.
func (v *View[T]) Part(w http.ResponseWriter, r *http.Request, name string, data any) {
	var b bytes.Buffer
	if err := v.tmpl.ExecuteTemplate(&b, name, data); err != nil {
		v.shell.opts.Logger.Error("shell: render", "part", name, "error", err)
		http.Error(w, "this part of the page could not be made; the log says why", http.StatusInternalServerError)
		return
	}
	v.shell.WriteHTML(w, r, http.StatusOK, b.Bytes())
}

func (s *Shell) frame(w http.ResponseWriter, r *http.Request, page Page, body any) frame {
	f := frame{Page: page, Body: body, Viewer: Identity(r.Context()), Shell: s, Theme: theme(r), Flash: takeFlash(w, r)}
	if page.Hint == "" {
		f.Page.Hint = "node, tag, check or URL …"
	}
	if page.Bare {
		return f
	}
	var counts map[string]Count
	if s.opts.Counts != nil {
		counts = s.opts.Counts(r.Context(), f.Viewer)
	}
	for _, item := range s.opts.Nav {
		f.Nav = append(f.Nav, navLink{NavItem: item, Count: counts[item.Key], Current: item.Key == page.Nav})
	}
	return f
}

// theme gives the viewer's choice, "light" or "dark"; "" follows the system.
func theme(r *http.Request) string {
	if c, err := r.Cookie("muster_theme"); err == nil && (c.Value == "light" || c.Value == "dark") {
		return c.Value
	}
	return ""
}

// WriteHTML sends a page or a part of one, compressed when the browser takes it, never cached.
func (s *Shell) WriteHTML(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Accept-Encoding")
	if len(body) > 1024 && acceptsGzip(r) {
		var b bytes.Buffer
		z := s.zippers.Get().(*gzip.Writer)
		z.Reset(&b)
		z.Write(body)
		z.Close()
		s.zippers.Put(z)
		h.Set("Content-Encoding", "gzip")
		body = b.Bytes()
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	w.Write(body)
}

// HTML gives one named template of the view, filled, for sending it some other way.
func (v *View[T]) HTML(name string, data any) ([]byte, error) {
	var b bytes.Buffer
	if err := v.tmpl.ExecuteTemplate(&b, name, data); err != nil {
		return nil, fmt.Errorf("shell: render %s: %w", name, err)
	}
	return b.Bytes(), nil
}
