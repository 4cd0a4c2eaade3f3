package checks

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"muster"
	"muster/api"
	"muster/internal/check"
	"muster/internal/web/shell"
)

// readForm makes of a form's fields what one says to the API, as the form's script does: what is empty or as usual is
// left out. It gives the faults that only the form can have, by field.
func (p *Page) readForm(account muster.AccountID, fields []field, form url.Values) (said api.CheckNew, faults map[string]string) {
	config, rest := map[string]any{}, map[string]any{}
	faults = map[string]string{}
	for _, f := range fields {
		into, name := rest, f.Name
		if key, ok := strings.CutPrefix(f.Name, "config."); ok {
			into, name = config, key
		}
		text := form.Get(f.Name)
		if f.Type == asBool && text == "" {
			text = "false"
		}
		v, some := f.value(text)
		if !some {
			continue
		}
		if f.Type == asNode {
			id, ok := p.nodeByName(account, text)
			if !ok {
				faults[f.Name] = "no node is called that"
				continue
			}
			v = id.String()
		}
		into[name] = v
	}
	if len(config) > 0 {
		rest["config"] = config
	}
	raw, err := json.Marshal(rest)
	if err == nil {
		err = json.Unmarshal(raw, &said)
	}
	if err != nil {
		faults[""] = "this form can't be read: load it again"
	}
	return said, faults
}

// value makes the value of a field of its text; false when it is left out.
func (f *field) value(text string) (any, bool) {
	if f.Type != asArea && f.Type != asSecret {
		text = strings.TrimSpace(text)
	}
	text = strings.ReplaceAll(text, "\r\n", "\n")
	if text == "" || text == f.Is || f.Type == asBool && f.Is == "" && text != yes {
		return nil, false
	}
	switch f.Type {
	case asBool:
		return text == yes, true
	case asNumber:
		if n, err := strconv.ParseInt(text, 10, 53); err == nil {
			return n, true
		}
	case asLines:
		var out []string
		for line := range strings.SplitSeq(text, "\n") {
			if line = strings.TrimSpace(line); line != "" {
				out = append(out, line)
			}
		}
		return out, true
	case asMap:
		out := map[string]string{}
		for line := range strings.SplitSeq(text, "\n") {
			if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(line) != "" {
				out[strings.TrimSpace(name)] = strings.TrimSpace(value)
			}
		}
		return out, true
	}
	return text, true
}

// text is the way back: how a value stands in its field.
func (f *field) text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []any:
		var lines []string
		for _, x := range v {
			lines = append(lines, fmt.Sprint(x))
		}
		return strings.Join(lines, "\n")
	case map[string]any:
		var lines []string
		for _, name := range slices.Sorted(maps.Keys(v)) {
			lines = append(lines, name+": "+fmt.Sprint(v[name]))
		}
		return strings.Join(lines, "\n")
	}
	return ""
}

// fill gives the texts of all fields for a check, as the API shows it.
func (p *Page) fill(account muster.AccountID, fields []field, said *api.CheckNew) map[string]string {
	out := map[string]string{}
	config, rest := map[string]any{}, map[string]any{}
	raw, err := json.Marshal(said)
	if err == nil {
		err = errors.Join(json.Unmarshal(raw, &rest), json.Unmarshal(append([]byte(nil), said.Config...), &config))
	}
	for _, f := range fields {
		v, ok := rest[f.Name]
		if key, of := strings.CutPrefix(f.Name, "config."); of {
			v, ok = config[key]
		}
		if out[f.Name] = f.Is; ok && err == nil {
			out[f.Name] = f.text(v)
		}
		if f.Type == asNode {
			id, _ := muster.ParseNodeID(said.Node)
			out[f.Name] = p.nodeName(account, id)
		}
	}
	return out
}

// faultsOf says which fields an error is about; what belongs to none stands under "".
func faultsOf(err error, fields []field) map[string]string {
	out := map[string]string{}
	var wrong *check.ConfigError
	if errors.As(err, &wrong) {
		for _, f := range wrong.Fields {
			name := "config." + f.Field
			if !slices.ContainsFunc(fields, func(x field) bool { return x.Name == name }) {
				out[""] = strings.TrimSpace(out[""] + " " + f.Field + " " + f.Message)
				continue
			}
			out[name] = f.Message
		}
		return out
	}
	text := shell.Words(err)
	name, message, _ := strings.Cut(text, ": ")
	if slices.ContainsFunc(fields, func(x field) bool { return x.Name == name }) {
		return map[string]string{name: message}
	}
	return map[string]string{"": text}
}

// nodeByName finds a node by its name, hostname or id, upper and lower case alike.
func (p *Page) nodeByName(account muster.AccountID, text string) (muster.NodeID, bool) {
	if id, err := muster.ParseNodeID(text); err == nil {
		return id, p.opts.Fleet.Node(account, id) != nil
	}
	var second muster.NodeID
	for _, n := range p.opts.Fleet.Nodes(account) {
		if strings.EqualFold(n.Name, text) {
			return n.ID, true
		}
		if strings.EqualFold(n.Hostname, text) {
			second = n.ID
		}
	}
	return second, !second.IsZero()
}
