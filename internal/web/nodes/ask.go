package nodes

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"muster/internal/inventory"
)

// asked is the state of the page, read from its address: nothing else holds any.
type asked struct {
	text  string            // the query as typed
	query inventory.Matcher // nil: all nodes
	sort  string
	desc  bool
	from  int
}

// asked reads the address. With an error (of the query) the rest of the answer is still good.
func (p *Page) asked(r *http.Request) (asked, error) {
	form := r.URL.Query()
	a := asked{text: strings.TrimSpace(form.Get("q"))}
	a.sort, a.desc = strings.CutPrefix(form.Get("sort"), "-")
	if o := (inventory.ListOptions{Sort: a.sort}); a.sort == "" || o.Validate() != nil {
		a.sort, a.desc = inventory.SortState, false
	}
	if n, err := strconv.Atoi(form.Get("from")); err == nil && n > 0 {
		a.from = n
	} else if n, err := strconv.Atoi(form.Get("page")); err == nil && n > 1 {
		a.from = (n - 1) * pageRows
	}
	if a.text == "" {
		return a, nil
	}
	q, err := p.opts.Parse(a.text)
	if err != nil {
		return a, err
	}
	a.query = q
	return a, nil
}

// sortParam gives the sort as it stands in the address; "" for the usual one.
func (a asked) sortParam() string {
	if a.sort == inventory.SortState && !a.desc {
		return ""
	}
	if a.desc {
		return "-" + a.sort
	}
	return a.sort
}

// href gives the page's address for a query and a sort.
func href(text, sort string, page int) string {
	v := url.Values{}
	if text != "" {
		v.Set("q", text)
	}
	if sort != "" {
		v.Set("sort", sort)
	}
	if page > 1 {
		v.Set("page", strconv.Itoa(page))
	}
	if len(v) == 0 {
		return "/nodes"
	}
	return "/nodes?" + v.Encode()
}

// hasTerm says whether a term stands in the query by itself.
func hasTerm(text, term string) bool { return termAt(text, term) >= 0 }

// toggleTerm takes the term out of the query, or adds it.
func toggleTerm(text, term string) string {
	if at := termAt(text, term); at >= 0 {
		return strings.TrimSpace(strings.TrimSpace(text[:at]) + " " + strings.TrimSpace(text[at+len(term):]))
	}
	return strings.TrimSpace(text + " " + term)
}

// chooseTerm takes the term out of the query, or puts it in the place of those that exclude it.
func chooseTerm(text, term string, others []string) string {
	for _, o := range others {
		if o != term && hasTerm(text, o) {
			text = toggleTerm(text, o)
		}
	}
	return toggleTerm(text, term)
}

func termAt(text, term string) int {
	for from := 0; ; {
		at := strings.Index(text[from:], term)
		if at < 0 {
			return -1
		}
		at += from
		end := at + len(term)
		if (at == 0 || text[at-1] == ' ') && (end == len(text) || text[end] == ' ') {
			return at
		}
		from = at + 1
	}
}

// quoted makes a value safe to stand behind "key:".
func quoted(value string) string {
	if strings.ContainsFunc(value, func(r rune) bool {
		return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("-_./=", r))
	}) {
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
	}
	return value
}

func itoa(n int) string { return strconv.Itoa(n) }
