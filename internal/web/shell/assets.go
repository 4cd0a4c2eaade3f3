package shell

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// AssetPrefix is where assets are served.
const AssetPrefix = "/assets/"

// hashDigits is how much of an asset's SHA-256 its name carries: 48 bits, never to meet its like among a few dozen files.
const hashDigits = 12

// asset is one file under its hashed name.
type asset struct {
	url     string
	kind    string // content type
	raw     []byte
	zip     []byte // gzip, made at the first demand; nil when it saves nothing
	zipOnce sync.Once
}

// assets holds the files. Sources are hashed when first named, so that modules can be added in any order.
type assets struct {
	mu      sync.RWMutex
	sources map[string][]byte // by source path: "nodes/assets/nodes.js"
	done    map[string]*asset // by source path
	byURL   map[string]*asset
}

func newAssets() *assets {
	return &assets{sources: map[string][]byte{}, done: map[string]*asset{}, byURL: map[string]*asset{}}
}

func (a *assets) add(page string, fsys fs.FS) {
	a.mu.Lock()
	defer a.mu.Unlock()
	err := fs.WalkDir(fsys, "assets", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !served(p) {
			return err
		}
		b, err := fs.ReadFile(fsys, p)
		a.sources[page+"/"+p] = b
		return err
	})
	if err != nil {
		panic("shell: assets of " + page + ": " + err.Error())
	}
}

// served leaves out what only the type checker and the reader of the sources want.
func served(p string) bool {
	switch path.Ext(p) {
	case ".js", ".css", ".svg", ".png", ".ico":
		return true
	}
	return false
}

// url gives the address of the asset called "page/file".
func (a *assets) url(name string) string {
	page, rest, _ := strings.Cut(name, "/")
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.resolve(page+"/assets/"+rest, nil).url
}

// sealAll makes every asset, so that an address is known before a page that names it was asked for.
func (a *assets) sealAll() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for src := range a.sources {
		a.resolve(src, nil)
	}
}

// imports finds the specifiers of static and dynamic imports that are relative paths.
var imports = regexp.MustCompile(`(\bfrom\s*|\bimport\s*\(?\s*)"(\.{1,2}/[^"]+\.js)"`)

// resolve rewrites the imports of a source to hashed addresses, deepest first, and hashes the outcome.
func (a *assets) resolve(src string, under []string) *asset {
	if done := a.done[src]; done != nil {
		return done
	}
	body, ok := a.sources[src]
	if !ok {
		panic("shell: no asset " + src + " (wanted by " + strings.Join(under, ", ") + ")")
	}
	for _, u := range under {
		if u == src {
			panic("shell: modules import each other in a circle: " + strings.Join(under, ", "))
		}
	}
	if path.Ext(src) == ".js" && !strings.Contains(src, "/vendor/") {
		under = append(under, src)
		body = imports.ReplaceAllFunc(body, func(m []byte) []byte {
			part := imports.FindSubmatch(m)
			target := a.resolve(path.Join(path.Dir(src), string(part[2])), under)
			return []byte(string(part[1]) + strconv.Quote(target.url))
		})
	}
	sum := sha256.Sum256(body)
	ext := path.Ext(src)
	public := strings.TrimSuffix(strings.Replace(src, "/assets/", "/", 1), ext)
	done := &asset{url: AssetPrefix + public + "." + hex.EncodeToString(sum[:])[:hashDigits] + ext, kind: kindOf(ext), raw: body}
	a.done[src] = done
	a.byURL[done.url] = done
	return done
}

func kindOf(ext string) string {
	switch ext {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	return mime.TypeByExtension(ext)
}

func (s *asset) zipped() []byte {
	s.zipOnce.Do(func() {
		var b bytes.Buffer
		w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
		w.Write(s.raw)
		w.Close()
		if b.Len() < len(s.raw)*9/10 {
			s.zip = b.Bytes()
		}
	})
	return s.zip
}

// AssetHandler serves what lies under AssetPrefix, to anybody: the files are the same for all and hold no secret.
// A name with another hash is 404: such a page is older than the program and is to be loaded again.
func (s *Shell) AssetHandler() http.Handler {
	s.assets.sealAll()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.assets.mu.RLock()
		a := s.assets.byURL[r.URL.Path]
		s.assets.mu.RUnlock()
		if a == nil || (r.Method != http.MethodGet && r.Method != http.MethodHead) {
			http.Error(w, "no such file; load the page again", http.StatusNotFound)
			return
		}
		h := w.Header()
		h.Set("Content-Type", a.kind)
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Add("Vary", "Accept-Encoding")
		body := a.raw
		if z := a.zipped(); z != nil && acceptsGzip(r) {
			h.Set("Content-Encoding", "gzip")
			body = z
		}
		h.Set("Content-Length", strconv.Itoa(len(body)))
		if r.Method == http.MethodGet {
			w.Write(body)
		}
	})
}

// acceptsGzip reads Accept-Encoding; a refusal (q=0) counts.
func acceptsGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, param, _ := strings.Cut(strings.TrimSpace(part), ";")
		if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
			continue
		}
		q, ok := strings.CutPrefix(strings.ReplaceAll(param, " ", ""), "q=")
		v, err := strconv.ParseFloat(q, 64)
		return !ok || err != nil || v > 0
	}
	return false
}
