package series

import "muster/internal/series/engine"

// The contract with what stores for the DB is in package engine; these are its names here.
type (
	// Engine stores segments, schemas, blocks, tiles and marks.
	Engine = engine.Engine
	// Sizer is fitted by engines that know how many bytes they occupy.
	Sizer = engine.Sizer
	// Class is a class of retention: for how long samples and rollups are kept, and what that costs.
	Class = engine.Class
	// Minute counts minutes since the Unix epoch.
	Minute = engine.Minute
	// Hour counts hours since the Unix epoch.
	Hour = engine.Hour
)

const (
	// FiveMinutes tiles have 12 slots: an hour.
	FiveMinutes = engine.FiveMinutes
	// OneHour tiles have 24 slots: a day (UTC).
	OneHour = engine.OneHour
)

// DefaultClasses gives the classes of a new store: "standard", "short" and "long".
func DefaultClasses() []Class { return engine.DefaultClasses() }
