package phrase

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
)

// Fields is the configuration of a kind of checks or channels, under construction.
type Fields map[string]json.RawMessage

// Put sets a field; nil takes it away.
func (c Fields) Put(name string, value any) {
	raw, err := json.Marshal(value)
	if err != nil || value == nil {
		delete(c, name)
		return
	}
	c[name] = raw
}

// Raw gives them as a JSON object.
func (c Fields) Raw() json.RawMessage {
	raw, _ := json.Marshal(c) // of what was marshalled before: it can't fail
	return raw
}

// ReadFields reads a JSON object; nothing stands for an empty one.
func ReadFields(raw []byte) (Fields, error) {
	out := Fields{}
	if len(bytes.TrimSpace(raw)) == 0 {
		return out, nil
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		return nil, fmt.Errorf("the configuration must be a JSON object: %w", err)
	}
	if out == nil { // null
		out = Fields{}
	}
	return out, nil
}

// Secret names the field of a kind that nobody is to see, and what it is.
func Secret(kind string) (field, what string) {
	known := map[string][2]string{
		"webhook": {"secret", "the key that messages are signed with"}, "email": {"password", "the mail server's password"}, "slack": {"url", "the address of the incoming webhook"},
		"ntfy": {"token", "the access token"}, "telegram": {"token", "the token of the bot"},
	}[kind]
	return known[0], known[1]
}

// Channel makes the fields of a kind of channels from what people write behind it, a URL, addresses or a chat, and a name.
// The error says which kinds there are.
func Channel(kind string, targets []string) (config Fields, name string, err error) {
	config, name = Fields{}, kind
	if field, _ := Secret(kind); field == "" {
		return nil, "", fmt.Errorf("there is no kind %q of channels; there are webhook, email, slack, ntfy and telegram", kind)
	}
	if len(targets) == 0 {
		return config, name, nil // --config or --set say it
	}
	if kind == "email" {
		config.Put("to", targets)
		return config, strings.Join(targets, ", "), nil
	}
	if len(targets) > 1 {
		return nil, "", fmt.Errorf("%s takes one target", kind)
	}
	target := targets[0]
	u, err := url.Parse(target)
	if err != nil {
		u = &url.URL{} // the server says what is wrong with it
	}
	switch kind {
	case "webhook":
		config.Put("url", target)
		name = u.Host
	case "slack":
		config.Put("url", target)
	case "ntfy":
		topic := target
		if u.Host != "" {
			topic = strings.Trim(u.Path, "/")
			config.Put("server", u.Scheme+"://"+u.Host)
			if at := strings.LastIndexByte(topic, '/'); at >= 0 { // a server below a path
				config.Put("server", u.Scheme+"://"+u.Host+"/"+topic[:at])
				topic = topic[at+1:]
			}
		}
		config.Put("topic", topic)
		name = "ntfy " + topic
	case "telegram":
		config.Put("chat", target)
		name = "telegram " + target
	}
	if name == "" {
		name = kind
	}
	return config, name, nil
}
