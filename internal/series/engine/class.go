package engine

import (
	"fmt"
	"time"

	"muster"
)

const oneDay = 24 * time.Hour

// Class is a class of retention: for how long samples and tiles are kept, and what that costs.
type Class struct {
	Name   string
	Raw    time.Duration // samples as they came
	Tile5m time.Duration // rollups of 5 minutes
	Tile1h time.Duration // rollups of 1 hour
	// BytesPerNodeYear is what one node of this store occupies after a year in this class, measured on
	// what is stored now; 0 while there is nothing to measure.
	BytesPerNodeYear int64
}

// Validate says what is wrong with a class; the error wraps muster.ErrInvalid.
func (c Class) Validate() error {
	switch {
	case c.Name == "" || len(c.Name) > 32:
		return fmt.Errorf("%w: a class of retention needs a name of 1 to 32 bytes", muster.ErrInvalid)
	case c.Raw < 3*oneDay || c.Tile5m < c.Raw || c.Tile1h < c.Tile5m:
		return fmt.Errorf("%w: a class of retention keeps samples for 3 days or more, and rollups no shorter", muster.ErrInvalid)
	}
	return nil
}

// DefaultClasses gives the classes of a new store: "standard", "short" and "long".
func DefaultClasses() []Class {
	return []Class{
		{Name: "standard", Raw: 30 * oneDay, Tile5m: 180 * oneDay, Tile1h: 3 * 365 * oneDay},
		{Name: "short", Raw: 7 * oneDay, Tile5m: 30 * oneDay, Tile1h: 365 * oneDay},
		{Name: "long", Raw: 180 * oneDay, Tile5m: 2 * 365 * oneDay, Tile1h: 10 * 365 * oneDay},
	}
}

// Growth is the bytes that a node adds per second of its life, by kind of data.
type Growth struct {
	Raw, FiveMinutes, OneHour float64
}

// Cost gives what a node occupies after a year in a class: each kind of data as long as the class keeps it.
func (g Growth) Cost(c Class) int64 {
	const year = 365 * oneDay
	return int64(g.Raw*min(c.Raw, year).Seconds() + g.FiveMinutes*min(c.Tile5m, year).Seconds() + g.OneHour*min(c.Tile1h, year).Seconds())
}
