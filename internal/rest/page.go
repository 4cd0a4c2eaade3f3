package rest

import (
	"encoding/base64"
	"sort"

	"muster/api"
)

// paged gives the part of a sorted list that the caller asked for. The cursor is the key of the last
// item given, so that a page goes on rightly though items came or went meanwhile.
func paged[T, Out any](all []T, in PageInput, key func(T) string, shape func(T) Out) (*page[Out], error) {
	from := 0
	if in.Cursor != "" {
		after, err := base64.RawURLEncoding.DecodeString(in.Cursor)
		if err != nil || len(after) == 0 {
			return nil, badField("query.cursor", "is not one of this list's")
		}
		from = sort.Search(len(all), func(i int) bool { return key(all[i]) > string(after) })
	}
	part := all[from:]
	out := &page[Out]{Body: api.List[Out]{Items: []Out{}}}
	if len(part) > in.Limit {
		part = part[:in.Limit]
		out.Body.Next = base64.RawURLEncoding.EncodeToString([]byte(key(part[in.Limit-1])))
	}
	for _, item := range part {
		out.Body.Items = append(out.Body.Items, shape(item))
	}
	return out, nil
}
