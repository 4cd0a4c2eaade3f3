package client

import (
	"context"
	"encoding/json"
	"reflect"
)

// Change sends what a change makes different: said is what people say of the object as it was read, with the
// rev of then; change may alter it in place, but not what it points to. When nothing is different nothing
// is sent, and changed is false. Errors are those of Edit, and that of change.
func (t Things[New, Out]) Change(ctx context.Context, id string, rev uint64, said New, change func(*New) error) (out *Out, changed bool, err error) {
	old, err := object(said)
	if err != nil {
		return nil, false, err
	}
	if err := change(&said); err != nil {
		return nil, false, err
	}
	now, err := object(said)
	if err != nil {
		return nil, false, err
	}
	patch := difference(old, now)
	if len(patch) == 0 {
		return nil, false, nil
	}
	out, err = t.Edit(ctx, id, rev, patch)
	return out, true, err
}

// object gives a value as JSON has it.
func object(v any) (out map[string]any, err error) {
	raw, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(raw, &out)
	}
	return out, err
}

// difference gives the merge patch (RFC 7396) that leads from one object to another.
func difference(old, now map[string]any) map[string]any {
	patch := map[string]any{}
	for key, v := range now {
		was, ok := old[key].(map[string]any)
		is, both := v.(map[string]any)
		if ok && both {
			if inner := difference(was, is); len(inner) > 0 {
				patch[key] = inner
			}
			continue
		}
		if have, ok := old[key]; !ok || !reflect.DeepEqual(have, v) {
			patch[key] = v
		}
	}
	for key := range old {
		if _, ok := now[key]; !ok {
			patch[key] = nil
		}
	}
	return patch
}
