package shape

import (
	"encoding/json"
	"fmt"

	"muster"
)

// mergeDepth is how many objects within each other a patch may have: each level is read once more.
const mergeDepth = 8

// Merge applies a merge patch (RFC 7396) to a JSON object; the error wraps ErrInvalid.
func Merge(object, patch []byte) ([]byte, error) { return merge(object, patch, mergeDepth) }

func merge(object, patch []byte, depth int) ([]byte, error) {
	if depth == 0 {
		return nil, fmt.Errorf("%w: has too many objects within each other", muster.ErrInvalid)
	}
	target, change := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	if err := json.Unmarshal(patch, &change); err != nil || change == nil {
		return nil, fmt.Errorf("%w: must be a JSON object", muster.ErrInvalid)
	}
	if json.Unmarshal(object, &target) != nil || target == nil {
		target = map[string]json.RawMessage{} // what is no object is replaced by one
	}
	for key, v := range change {
		switch {
		case string(v) == "null":
			delete(target, key)
		case v[0] == '{':
			within, err := merge(target[key], v, depth-1)
			if err != nil {
				return nil, err
			}
			target[key] = within
		default:
			target[key] = v
		}
	}
	raw, err := json.Marshal(target)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", muster.ErrInvalid, err)
	}
	return raw, nil
}
