package chart

import (
	"math"
	"strconv"
	"strings"
)

// Text gives a value for reading, with its unit: "93 %", "148 MB/s", "4.1 ms". assets/units.js says the same.
func Text(v float64, unit string) string {
	number, u := Show(v, unit)
	if u == "" {
		return number
	}
	return number + " " + u
}

// Show gives a value for reading and, apart, the unit it is in.
func Show(v float64, unit string) (number, shown string) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "—", ""
	}
	div, name := scale(math.Abs(v), unit)
	x := v / div
	if unit == Share {
		if math.Abs(x) < 9.95 && x != 0 {
			return strconv.FormatFloat(x, 'f', 1, 64), name
		}
		return strconv.FormatFloat(x, 'f', 0, 64), name
	}
	if v == math.Trunc(v) && div == 1 && math.Abs(v) < 10000 || unit == Bytes && x == math.Trunc(x) {
		return strconv.FormatFloat(x, 'f', 0, 64), name
	}
	return digits(x), name
}

var (
	kibi = []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	kilo = []string{"", "k", "M", "G", "T", "P"}
)

// scale gives what a value is divided by for reading, and the name of the unit then.
func scale(v float64, unit string) (div float64, name string) {
	switch unit {
	case Share:
		return 0.01, "%"
	case Bytes:
		n := power(v, 1024)
		return math.Pow(1024, float64(n)), kibi[n]
	case BytesPerSecond, BitsPerSecond, "Hz":
		n := power(v, 1000)
		return math.Pow(1000, float64(n)), kilo[n] + map[string]string{BytesPerSecond: "B/s", BitsPerSecond: "b/s", "Hz": "Hz"}[unit]
	case Seconds:
		return scaleSeconds(v)
	case "Cel":
		return 1, "°C"
	}
	n := 0
	if v >= 10000 {
		n = power(v, 1000)
	}
	return math.Pow(1000, float64(n)), strings.TrimSpace(kilo[n] + " " + unit)
}

func scaleSeconds(v float64) (div float64, name string) {
	switch {
	case v == 0:
		return 1, "s"
	case v < 0.001:
		return 1e-6, "µs"
	case v < 1:
		return 0.001, "ms"
	case v < 120:
		return 1, "s"
	case v < 7200:
		return 60, "min"
	case v < 172800:
		return 3600, "h"
	}
	return 86400, "d"
}

func power(v, base float64) int {
	n := 0
	for v >= base*0.9995 && n < len(kibi)-1 {
		v /= base
		n++
	}
	return n
}

// digits gives three digits that count, and none that do not.
func digits(v float64) string {
	places := 3
	switch a := math.Abs(v); {
	case a == 0:
		return "0"
	case a >= 99.95:
		places = 0
	case a >= 0.995:
		places = 1
	case a >= 0.0995:
		places = 2
	case a < 0.0005:
		return "<0.001"
	}
	return strconv.FormatFloat(v, 'f', places, 64)
}
