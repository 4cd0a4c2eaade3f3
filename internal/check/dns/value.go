package dns

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// values gives what the records of the asked type hold, sorted, and the smallest of their times to live, in seconds.
func (r *run) values(answer *dns.Msg) (values []string, ttl uint32) {
	for _, record := range answer.Answer {
		head := record.Header()
		if head.Rrtype != r.rrtype || head.Class != dns.ClassINET {
			continue
		}
		if len(values) == 0 || head.Ttl < ttl {
			ttl = head.Ttl
		}
		values = append(values, value(record))
	}
	slices.Sort(values)
	return values, ttl
}

// value writes what a record holds as people know it: names without the dot at their end, texts without quotes.
func value(record dns.RR) string {
	if txt, ok := record.(*dns.TXT); ok {
		return raw(strings.Join(txt.Txt, ""))
	}
	text := strings.TrimPrefix(record.String(), record.Header().String())
	if _, ok := record.(*dns.CAA); ok {
		return text
	}
	words := strings.Fields(text)
	for i, word := range words {
		if name := strings.TrimSuffix(word, "."); name != "" {
			words[i] = name
		}
	}
	return strings.Join(words, " ")
}

// raw undoes the escapes of a zone file: \" \\ and \065.
func raw(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b = append(b, s[i])
			continue
		}
		i++
		if i+2 < len(s) && digits(s[i:i+3]) {
			if n := int(s[i]-'0')*100 + int(s[i+1]-'0')*10 + int(s[i+2]-'0'); n < 256 {
				b = append(b, byte(n))
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}

func digits(s string) bool {
	return strings.IndexFunc(s, func(c rune) bool { return c < '0' || c > '9' }) < 0
}

// equal compares an answer with what is expected: texts exactly, addresses by what they mean, the rest
// without regard to case, space and the dots at the ends of names.
func (r *run) equal(got, want string) bool {
	if r.rrtype == dns.TypeTXT {
		return got == want
	}
	if a, err := netip.ParseAddr(got); err == nil {
		b, err := netip.ParseAddr(strings.TrimSpace(want))
		return err == nil && a == b
	}
	return plain(got) == plain(want)
}

func plain(s string) string {
	words := strings.Fields(strings.ToLower(s))
	for i, word := range words {
		words[i] = strings.TrimSuffix(strings.Trim(word, `"`), ".")
	}
	return strings.Join(words, " ")
}

func rcodeName(code int) string {
	if name, known := dns.RcodeToString[code]; known {
		return name
	}
	return fmt.Sprintf("RCODE%d", code)
}
