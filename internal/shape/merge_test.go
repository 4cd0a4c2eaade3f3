package shape_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"muster"
	"muster/internal/shape"
)

// The examples of RFC 7396, as far as they patch an object.
func TestMerge(t *testing.T) {
	for _, c := range [][3]string{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`{"e":null}`, `{"a":1}`, `{"a":1,"e":null}`},
		{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
	} {
		got, err := shape.Merge([]byte(c[0]), []byte(c[1]))
		if err != nil || string(got) != c[2] {
			t.Errorf("%s with %s is %s, %v, want %s", c[0], c[1], got, err, c[2])
		}
	}
	deep := strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100)
	for _, bad := range []string{"", "[]", "null", `"a"`, "{", deep} {
		if _, err := shape.Merge([]byte(`{}`), []byte(bad)); !errors.Is(err, muster.ErrInvalid) {
			t.Errorf("%.20s: %v, want ErrInvalid", bad, err)
		}
	}
}

func FuzzMerge(f *testing.F) {
	f.Add(`{"a":{"b":1}}`, `{"a":{"b":null,"c":{}}}`)
	f.Fuzz(func(t *testing.T, object, patch string) {
		got, err := shape.Merge([]byte(object), []byte(patch))
		if err != nil {
			return
		}
		again, err := shape.Merge(got, []byte(patch))
		if err != nil || string(again) != string(got) || !json.Valid(got) {
			t.Errorf("%q with %q is %s, again %s, %v", object, patch, got, again, err)
		}
	})
}
