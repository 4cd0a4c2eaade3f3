package apidoc_test

import (
	"strings"
	"testing"

	"muster/internal/apidoc"
)

const document = `{"openapi":"3.1.0","info":{"title":"T<b>","version":"1","description":"About & more"},
"paths":{
 "/b":{"post":{"operationId":"make-b","summary":"Make","tags":["B"],"x-muster-role":"admin",
  "requestBody":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/Thing"}}}},
  "responses":{"201":{"description":"Created","content":{"application/json":{"schema":{"$ref":"#/components/schemas/Thing"}}}},"default":{"description":"Wrong"}}}},
 "/a":{"get":{"operationId":"list-a","summary":"List","tags":["A"],
  "parameters":[{"name":"limit","in":"query","required":true,"description":"How many","schema":{"type":"integer","minimum":1,"maximum":9,"default":5}}],
  "responses":{"200":{"description":"OK"}}}},
 "/c":{"delete":{"operationId":"drop-c","summary":"Drop","responses":{"204":{"description":"Gone"}}}}},
"components":{"schemas":{"Thing":{"type":"object","required":["name"],"properties":{
 "name":{"type":"string","maxLength":8,"description":"What it is called"},
 "tags":{"type":["array","null"],"items":{"type":"string"},"maxItems":3},
 "kind":{"type":"string","enum":["x","y"]},
 "at":{"type":"string","format":"date-time"},
 "facts":{"type":"object","additionalProperties":{"type":"string"}}}}}}}`

func TestPage(t *testing.T) {
	raw, err := apidoc.Page([]byte(document), []string{"B", "A"}, []apidoc.Kind{{404, "urn:x", "Not found"}})
	if err != nil {
		t.Fatal(err)
	}
	html := string(raw)
	for _, want := range []string{
		`id="make-b"`, `id="list-a"`, `id="drop-c"`, "needs admin", "1 to 9; default 5", "at most 8 characters", "one of x, y", "list of string", "object of texts",
		`href="#type-Thing"`, `id="type-Thing"`, "<td>time</td>", "urn:x", "About &amp; more", "T&lt;b&gt;", "<h2>Other</h2>",
	} {
		if !strings.Contains(html, want) {
			t.Errorf("no %s", want)
		}
	}
	if strings.Index(html, `id="make-b"`) > strings.Index(html, `id="list-a"`) {
		t.Error("the order of the tags is not kept")
	}
	for _, foreign := range []string{"<script", "style=", "http:", "https:", "//", "@import", "<no value>"} {
		if strings.Contains(html, foreign) {
			t.Errorf("the page holds %s", foreign)
		}
		if strings.Contains(string(apidoc.Style()), foreign) {
			t.Errorf("the style holds %s", foreign)
		}
	}
}

func TestBadDocument(t *testing.T) {
	for _, text := range []string{"", "[]", `{"paths":[]}`} {
		if _, err := apidoc.Page([]byte(text), nil, nil); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
	if _, err := apidoc.Page([]byte("{}"), nil, nil); err != nil {
		t.Errorf("an empty document: %v", err)
	}
}

func FuzzPage(f *testing.F) {
	f.Add(document)
	f.Add(`{"paths":{"/a":{"get":null}},"components":{"schemas":{"X":null}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		_, _ = apidoc.Page([]byte(text), nil, nil)
	})
}
