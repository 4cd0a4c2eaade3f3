package checks

import "muster/internal/roster"

// field is one field of a form. Scripts and readForm make the same of it.
type field struct {
	Name  string // in the form: "period", or "config.url" for those of the kind
	Label string
	Hint  string // below the field
	Like  string // an example, shown while it is empty
	Type  fieldType
	Is    string   // what it is when nobody says: left out of the call
	Of    []string // what can be chosen
	More  bool     // behind "more"
	Must  bool
	Wide  bool // over the whole width
}

// fieldType says how the text of a field becomes a value.
type fieldType string

const (
	asText   fieldType = "text"
	asSecret fieldType = "secret" // text that is not shown in the call
	asArea   fieldType = "area"   // text of several lines
	asNumber fieldType = "number"
	asBool   fieldType = "bool"
	asChoice fieldType = "choice"
	asLines  fieldType = "lines" // a list, one entry a line
	asMap    fieldType = "map"   // an object, "name: value" a line
	asNode   fieldType = "node"  // the name of a node becomes its id
)

// yes is the value of a bool that is set.
const yes = "true"

// kinds gives the kinds of checks in the order in which they are offered.
func kinds() []string { return []string{"http", "tcp", "ping", "dns", roster.KindPush} }

// about says what a kind is for.
var aboutKind = map[string]string{
	"http":          "Asks a web server and looks at the answer.",
	"tcp":           "Connects to a port, and can say something and look at the answer.",
	"ping":          "Asks a host whether it is there.",
	"dns":           "Asks a name server.",
	roster.KindPush: "A job calls us when it is done; silence is the failure.",
}

// fieldsOf gives the fields of the form for a kind; fresh is true for a check that is being made.
func fieldsOf(kind string, fresh bool) []field {
	out := map[string]func() []field{"http": httpFields, "tcp": tcpFields, "ping": pingFields, "dns": dnsFields, roster.KindPush: pushFields}[kind]()
	name := field{Name: "name", Label: "Name", Like: "made of the target", Type: asText}
	every := field{Name: "period", Label: "Every", Is: "10s", Type: asText, Hint: "1s to 1d"}
	if kind == roster.KindPush {
		name.Must, name.Like = true, "nightly backup"
		every.Label, every.Is, every.Hint = "Called every", "5m", "1s to 32d"
	}
	out = append(out, name, every, field{Name: "node", Label: "Belongs to", Type: asNode, Like: "a node, or none", Hint: "its metrics are then among those of the node"})
	if kind != roster.KindPush {
		out = append(out, field{Name: "timeout", Label: "Time limit of a run", Like: "5s", Type: asText, Hint: "shorter than the period", More: true})
	}
	if !fresh {
		out = append(out, field{Name: "enabled", Label: "Switched on", Type: asBool, Is: yes, More: true})
	}
	return out
}

func httpFields() []field {
	return append([]field{
		{Name: "config.url", Label: "URL", Like: "https://example.org/health", Type: asText, Must: true, Wide: true},
		{Name: "config.expect_status", Label: "Expected status", Is: "200-299", Type: asText, Hint: "codes, ranges and classes: 200-299,301 or 2xx,404"},
		{Name: "config.body_match", Label: "The body must match", Like: "welcome|hello", Type: asText, Hint: "a regular expression (RE2)"},
		{Name: "config.max_response_time", Label: "Critical when slower than", Like: "800ms", Type: asText, More: true},
		{Name: "config.method", Label: "Method", Is: "GET", Type: asText, More: true},
		{Name: "config.headers", Label: "Headers", Like: "Accept: application/json", Type: asMap, Hint: "one a line", More: true, Wide: true},
		{Name: "config.body", Label: "What is sent", Type: asArea, More: true, Wide: true},
		{Name: "config.username", Label: "User name", Type: asText, More: true},
		{Name: "config.password", Label: "Password", Type: asSecret, More: true},
		{Name: "config.bearer", Label: "Bearer token", Type: asSecret, Hint: "instead of user name and password", More: true},
		{Name: "config.matches", Label: "What to keep of the body", Like: `version: "version":"([^"]+)"`, Type: asMap, Hint: "a name and an expression a line; numbers become metrics", More: true, Wide: true},
		{Name: "config.follow_redirects", Label: "Follow redirects", Type: asBool, Is: yes, More: true},
	}, append(tlsFields(), familyField())...)
}

func tcpFields() []field {
	return append([]field{
		{Name: "config.host", Label: "Host", Like: "db-1.example.org", Type: asText, Must: true},
		{Name: "config.port", Label: "Port", Like: "5432", Type: asNumber, Must: true},
		{Name: "config.tls", Label: "With TLS", Type: asBool},
		{Name: "config.send", Label: "Say", Like: `PING\r\n`, Type: asText, Hint: `\r \n \t \0 \\ and \x1f stand for bytes`, More: true},
		{Name: "config.expect", Label: "The answer must match", Like: `^\+PONG`, Type: asText, Hint: "a regular expression (RE2)", More: true},
	}, append(tlsFields(), familyField())...)
}

func pingFields() []field {
	return []field{
		{Name: "config.host", Label: "Host", Like: "example.org", Type: asText, Must: true, Wide: true},
		{Name: "config.count", Label: "Requests a run", Is: "5", Type: asNumber, Hint: "1 to 15", More: true},
		familyField(),
	}
}

func dnsFields() []field {
	types := []string{"A", "AAAA", "TXT", "MX", "SOA", "CNAME", "PTR", "NS", "SRV", "CAA"}
	return []field{
		{Name: "config.query", Label: "Name", Like: "example.org", Type: asText, Must: true},
		{Name: "config.type", Label: "Record", Type: asChoice, Of: types, Is: "A"},
		{Name: "config.server", Label: "Ask", Like: "the system's resolver", Type: asText},
		{Name: "config.expect", Label: "Expected answers", Like: "192.0.2.7", Type: asLines, Hint: "one a line; all must be there", More: true},
		{Name: "config.expect_match", Label: "One answer must match", Type: asText, Hint: "a regular expression (RE2)", More: true},
		{Name: "config.expect_rcode", Label: "Expected code", Is: "NOERROR", Type: asText, More: true},
		{Name: "config.protocol", Label: "Protocol", Type: asChoice, Of: []string{"udp", "tcp"}, Is: "udp", More: true},
		{Name: "config.port", Label: "Port", Is: "53", Type: asNumber, More: true},
		{Name: "config.dnssec", Label: "Authentic (DNSSEC)", Type: asBool, More: true},
		familyField(),
	}
}

func pushFields() []field {
	return []field{{Name: "config.grace", Label: "Grace", Is: "30s", Type: asText, Hint: "how much later than that a call may come"}}
}

func tlsFields() []field {
	return []field{
		{Name: "config.tls_skip_verify", Label: "Go on with a bad certificate", Type: asBool, More: true},
		{Name: "config.tls_server_name", Label: "Name in the certificate", Like: "that of the host", Type: asText, More: true},
		{Name: "config.tls_ca", Label: "Certificates that may sign the server's", Like: "-----BEGIN CERTIFICATE-----", Type: asArea, Hint: "PEM; those of the machine when empty", More: true, Wide: true},
	}
}

func familyField() field {
	return field{Name: "config.family", Label: "Addresses", Type: asChoice, Of: []string{"ip", "ip4", "ip6"}, Is: "ip", More: true}
}
