package plot_test

import (
	"bytes"
	"errors"
	"flag"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"muster"
	"muster/internal/plot"
)

var rewrite = flag.Bool("rewrite", false, "write testdata anew")

var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

func ramp(n int, step time.Duration, fn func(i int) float64) []plot.Point {
	out := make([]plot.Point, n)
	for i := range out {
		out[i] = plot.Point{At: noon.Add(time.Duration(i) * step).UnixMilli(), Value: fn(i)}
	}
	return out
}

func ptr(v float64) *float64 { return &v }

// charts are what is looked at: testdata/NAME.png.
func charts() map[string]plot.Chart {
	disk := plot.Chart{
		Points: ramp(181, 20*time.Second, func(i int) float64 { return 0.78 + 0.0011*float64(i) + 0.004*math.Sin(float64(i)/3) }),
		From:   noon, To: noon.Add(time.Hour), Step: 20 * time.Second, Unit: "1", Limit: ptr(0.95), Level: muster.LevelCritical,
		Spans: []plot.Span{{From: noon.Add(52 * time.Minute), Level: muster.LevelCritical}},
	}
	gaps := plot.Chart{
		Points: ramp(120, time.Minute, func(i int) float64 {
			if i > 40 && i < 60 || i == 80 || i == 82 {
				return math.NaN()
			}
			return 0.040 + 0.012*math.Sin(float64(i)/7) + map[bool]float64{true: 0.5}[i > 95 && i < 105]
		}),
		From: noon, To: noon.Add(2 * time.Hour), Step: time.Minute, Unit: "s", Limit: ptr(0.3), Level: muster.LevelWarning,
		Spans: []plot.Span{{From: noon.Add(96 * time.Minute), To: noon.Add(106 * time.Minute), Level: muster.LevelWarning}},
	}
	bytesChart := plot.Chart{
		Points: ramp(100, time.Minute, func(i int) float64 { return 3.1e9 + 1e7*float64(i*i%37) }),
		From:   noon, To: noon.Add(100 * time.Minute), Unit: "By",
	}
	return map[string]plot.Chart{
		"disk": disk, "gaps": gaps, "bytes": bytesChart,
		"empty": {From: noon, To: noon.Add(24 * time.Hour), Unit: "1", Limit: ptr(0.9)},
	}
}

func TestLooks(t *testing.T) {
	for name, chart := range charts() {
		got, err := plot.PNG(chart)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		file := filepath.Join("testdata", name+".png")
		if *rewrite {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if off := difference(t, got, want); off > 0.001 {
			t.Errorf("%s.png: %.2f %% of the pixels differ from testdata", name, off*100)
		}
		if len(got) > 40<<10 {
			t.Errorf("%s.png has %d bytes: too many for a mail", name, len(got))
		}
	}
}

// difference gives the share of pixels that are visibly not the same: rounding may differ between machines.
func difference(t *testing.T, a, b []byte) float64 {
	t.Helper()
	x, y := decode(t, a), decode(t, b)
	if x.Bounds() != y.Bounds() {
		return 1
	}
	off := 0
	for py := range x.Bounds().Dy() {
		for px := range x.Bounds().Dx() {
			r1, g1, b1, _ := x.At(px, py).RGBA()
			r2, g2, b2, _ := y.At(px, py).RGBA()
			if apart(r1, r2) || apart(g1, g2) || apart(b1, b2) {
				off++
			}
		}
	}
	return float64(off) / float64(x.Bounds().Dx()*x.Bounds().Dy())
}

func apart(a, b uint32) bool { return max(a, b)-min(a, b) > 0x1000 }

func decode(t *testing.T, b []byte) image.Image {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// count says how many pixels of the right half have the colour, above and below the middle.
func count(img image.Image, c color.RGBA) (upper, lower int) {
	b := img.Bounds()
	for y := range b.Dy() {
		for x := range b.Dx() {
			if color.RGBAModel.Convert(img.At(x, y)) == color.Color(c) {
				if y < b.Dy()/2 {
					upper++
				} else {
					lower++
				}
			}
		}
	}
	return upper, lower
}

func TestWhatIsDrawn(t *testing.T) {
	blue, red, pink := color.RGBA{0x3b, 0x6f, 0xd8, 0xff}, color.RGBA{0xc4, 0x32, 0x2b, 0xff}, color.RGBA{0xfc, 0xe8, 0xe6, 0xff}
	high := plot.Chart{Points: ramp(60, time.Minute, func(int) float64 { return 0.9 }), From: noon, To: noon.Add(time.Hour), Unit: "1"}
	draw := func(c plot.Chart) image.Image {
		b, err := plot.PNG(c)
		if err != nil {
			t.Fatal(err)
		}
		return decode(t, b)
	}
	img := draw(high)
	if up, low := count(img, blue); up == 0 || low != 0 {
		t.Errorf("90 %% is drawn with %d pixels in the upper half and %d in the lower", up, low)
	}
	if up, low := count(img, red); up+low != 0 {
		t.Error("red without a limit or a span")
	}
	with := high
	with.Limit = ptr(0.1)
	if up, low := count(draw(with), red); up != 0 || low == 0 {
		t.Errorf("a limit of 10 %% is drawn with %d pixels in the upper half and %d in the lower", up, low)
	}
	with.Spans = []plot.Span{{From: noon.Add(-time.Hour), To: noon.Add(30 * time.Minute)}}
	half, _ := count(draw(with), pink)
	with.Spans[0].To = time.Time{}
	full, _ := count(draw(with), pink)
	if half == 0 || full < half*18/10 || full > half*22/10 {
		t.Errorf("half the time is shaded with %d pixels, all of it with %d", half, full)
	}
	with.Spans[0] = plot.Span{From: noon.Add(3 * time.Hour), To: noon.Add(4 * time.Hour)}
	if up, low := count(draw(with), pink); up+low != 0 {
		t.Error("a span outside of the range is drawn")
	}
}

func TestGapsStayOpen(t *testing.T) {
	blue := color.RGBA{0x3b, 0x6f, 0xd8, 0xff}
	points := ramp(61, time.Minute, func(int) float64 { return 0.5 })
	holed := append(append([]plot.Point{}, points[:10]...), points[50:]...)
	c := plot.Chart{Points: holed, From: noon, To: noon.Add(time.Hour), Unit: "1"}
	pixels := func(c plot.Chart) int {
		b, err := plot.PNG(c)
		if err != nil {
			t.Fatal(err)
		}
		up, low := count(decode(t, b), blue)
		return up + low
	}
	joined := pixels(c)
	c.Step = time.Minute
	if open := pixels(c); open > joined/2 {
		t.Errorf("a gap of 40 minutes: %d pixels of line, %d when it is closed", open, joined)
	}
}

func TestRefusals(t *testing.T) {
	good := plot.Chart{From: noon, To: noon.Add(time.Hour)}
	bad := map[string]func(*plot.Chart){
		"no range":        func(c *plot.Chart) { c.To = c.From },
		"backwards":       func(c *plot.Chart) { c.From, c.To = c.To, c.From },
		"tiny":            func(c *plot.Chart) { c.Width = 1 },
		"huge":            func(c *plot.Chart) { c.Height = 1e6 },
		"limit":           func(c *plot.Chart) { c.Limit = ptr(math.NaN()) },
		"infinite limit":  func(c *plot.Chart) { c.Limit = ptr(math.Inf(1)) },
		"too many points": func(c *plot.Chart) { c.Points = make([]plot.Point, 1<<20+1) },
	}
	for name, breakIt := range bad {
		c := good
		breakIt(&c)
		if _, err := plot.PNG(c); !errors.Is(err, muster.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := plot.PNG(good); err != nil {
		t.Errorf("an empty chart: %v", err)
	}
}

// FuzzPNG draws whatever values there are: it must end, and be a picture.
func FuzzPNG(f *testing.F) {
	f.Add(0.5, 0.7, 0.9, "1", int64(3600), uint8(3))
	f.Add(1e300, -1e300, 0.0, "By", int64(1), uint8(9))
	f.Add(math.MaxFloat64, -math.MaxFloat64, 1.0, "s", int64(1e8), uint8(2))
	f.Add(math.NaN(), math.Inf(1), 5e-324, "By/s", int64(100000), uint8(200))
	f.Fuzz(func(t *testing.T, a, b, limit float64, unit string, span int64, n uint8) {
		c := plot.Chart{From: noon, To: noon.Add(time.Duration(span%1e9) * time.Second), Unit: unit, Limit: &limit, Width: 80, Height: 60}
		for i := range int(n) {
			v := a
			if i%2 == 1 {
				v = b
			}
			c.Points = append(c.Points, plot.Point{At: noon.UnixMilli() + int64(i)*1000, Value: v})
		}
		got, err := plot.PNG(c)
		if err != nil {
			if !errors.Is(err, muster.ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		if _, err := png.Decode(bytes.NewReader(got)); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkPNG(b *testing.B) {
	c := charts()["disk"]
	for b.Loop() {
		if _, err := plot.PNG(c); err != nil {
			b.Fatal(err)
		}
	}
}
