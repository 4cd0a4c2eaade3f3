package http

import (
	"fmt"
	"strconv"
	"strings"
)

// ranges are the status codes that are expected: pairs of first and last.
type ranges [][2]int

const maxRanges = 20

// parseRanges reads "200-299,301" or "2xx, 404"; fault says what is wrong.
func parseRanges(text string) (r ranges, fault string) {
	for part := range strings.SplitSeq(text, ",") {
		one, ok := parseRange(strings.TrimSpace(part))
		if !ok {
			return nil, `must be status codes from 100 to 999, such as "200-299,301"`
		}
		if r = append(r, one); len(r) > maxRanges {
			return nil, fmt.Sprintf("has more than %d parts", maxRanges)
		}
	}
	return r, ""
}

func parseRange(s string) (one [2]int, ok bool) {
	if len(s) == 3 && s[0] >= '1' && s[0] <= '9' && strings.EqualFold(s[1:], "xx") {
		n := int(s[0]-'0') * 100
		return [2]int{n, n + 99}, true
	}
	from, to, span := strings.Cut(s, "-")
	if !span {
		to = from
	}
	first, ok1 := parseCode(strings.TrimSpace(from))
	last, ok2 := parseCode(strings.TrimSpace(to))
	return [2]int{first, last}, ok1 && ok2 && first <= last
}

func parseCode(s string) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	return int(n), err == nil && len(s) == 3 && n >= 100
}

// String writes the ranges in the form that parseRanges reads.
func (r ranges) String() string {
	parts := make([]string, len(r))
	for i, one := range r {
		parts[i] = strconv.Itoa(one[0])
		if one[1] != one[0] {
			parts[i] += "-" + strconv.Itoa(one[1])
		}
	}
	return strings.Join(parts, ",")
}

func (r ranges) has(code int) bool {
	for _, one := range r {
		if code >= one[0] && code <= one[1] {
			return true
		}
	}
	return false
}
