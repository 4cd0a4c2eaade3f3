package tcp

import (
	"fmt"
	"strconv"
	"strings"
)

// unescape turns \r \n \t \0 \\ and \x1f into the bytes they stand for; fault says what is wrong.
func unescape(text string) (b []byte, fault string) {
	for {
		plain, rest, found := strings.Cut(text, `\`)
		b = append(b, plain...)
		if !found {
			return b, ""
		}
		if rest == "" {
			return nil, `ends with a lone \; write \\ for one`
		}
		switch c := rest[0]; c {
		case 'r':
			b = append(b, '\r')
		case 'n':
			b = append(b, '\n')
		case 't':
			b = append(b, '\t')
		case '0':
			b = append(b, 0)
		case '\\':
			b = append(b, '\\')
		case 'x':
			n, err := strconv.ParseUint(rest[1:min(len(rest), 3)], 16, 8)
			if err != nil || len(rest) < 3 {
				return nil, `has a \x without two hexadecimal digits`
			}
			b = append(b, byte(n))
			rest = rest[2:]
		default:
			return nil, fmt.Sprintf(`has \%c; there are \r \n \t \0 \\ and \x1f`, []rune(rest)[0])
		}
		text = rest[1:]
	}
}
