package column

import "math"

// restore turns streams back into slots.
func (r *row) restore(slots []Slot, head byte, want Fields) {
	scale := int(head & 15)
	if scale == scaleBits {
		r.restoreBits(slots, head, want)
		return
	}
	p := power(scale)
	i := 0
	var before int64
	for at := range slots {
		sl := &slots[at]
		if sl.Count == 0 {
			*sl = Slot{}
			continue
		}
		low := r.lists[streamMin][i]
		high := low + r.lists[streamSpread][i]
		*sl = Slot{Count: sl.Count}
		if want&FieldMin != 0 {
			sl.Min = float64(low) / p
		}
		if want&FieldMax != 0 {
			sl.Max = float64(high) / p
		}
		if want&FieldSum != 0 {
			sl.Sum = float64(r.lists[streamSum][i]+expectedSum(true, int64(sl.Count), low, high)) / p
			if head&slotSumUlps != 0 {
				sl.Sum = nudge(sl.Sum, r.lists[streamSumUlps][i])
			}
		}
		if want&(FieldLast|FieldIncrease) != 0 {
			last := high - r.lists[streamLast][i]
			if i == 0 {
				before = low
			}
			if want&FieldLast != 0 {
				sl.Last = float64(last) / p
			}
			if want&FieldIncrease != 0 && head&slotIncrease != 0 {
				sl.Increase = float64(r.lists[streamIncrease][i]+expectedIncrease(true, before, last)) / p
				if head&slotIncreaseUlps != 0 {
					sl.Increase = nudge(sl.Increase, r.lists[streamIncreaseUlps][i])
				}
			}
			before = last
		}
		i++
	}
}

func nudge(v float64, ulps int64) float64 {
	return math.Float64frombits(math.Float64bits(v) + uint64(ulps))
}

// restoreBits is restore for rows whose numbers are the bits of floats.
func (r *row) restoreBits(slots []Slot, head byte, want Fields) {
	i := 0
	for at := range slots {
		sl := &slots[at]
		if sl.Count == 0 {
			*sl = Slot{}
			continue
		}
		*sl = Slot{Count: sl.Count}
		low := r.lists[streamMin][i]
		high := low + r.lists[streamSpread][i]
		put := func(field Fields, to *float64, n int64) {
			if want&field != 0 {
				*to = math.Float64frombits(uint64(n))
			}
		}
		put(FieldMin, &sl.Min, low)
		put(FieldMax, &sl.Max, high)
		put(FieldSum, &sl.Sum, r.lists[streamSum][i])
		if want&(FieldLast|FieldIncrease) != 0 {
			put(FieldLast, &sl.Last, high-r.lists[streamLast][i])
			if want&FieldIncrease != 0 && head&slotIncrease != 0 {
				put(FieldIncrease, &sl.Increase, r.lists[streamIncrease][i])
			}
		}
		i++
	}
}
