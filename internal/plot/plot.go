// Package plot gives a small picture of one metric for places where no page can draw it, such as a
// mail: a line over time with its limit and the times in which an alarm fired, as a PNG.
package plot

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"time"

	"muster"
)

// Point is one value at one instant.
type Point struct {
	At    int64   // Unix milliseconds
	Value float64 // NaN breaks the line
}

// Span is a time to shade: from when to when an alarm fired.
type Span struct {
	From, To time.Time // a zero To is the end of the chart
	Level    muster.Level
}

// Chart is what is to be drawn. Only Points and the range are needed.
type Chart struct {
	Points []Point // ascending; what lies outside the range is left out
	From   time.Time
	To     time.Time
	Step   time.Duration // of the points: the line breaks where more than two are missing; zero: it never does
	Unit   string        // UCUM, as in muster.Metric: "1", "By", "s", "By/s"
	Limit  *float64      // drawn as a dashed line, in the unit of the values; nil for none
	Level  muster.Level  // whose colour the limit has
	Spans  []Span
	Zone   *time.Location // of the times below the chart; UTC when nil
	Width  int            // in CSS pixels; the picture has twice as many. 560 when zero
	Height int            // 150 when zero
}

// Bounds of a chart's size, in CSS pixels.
const (
	minSide, maxSide             = 60, 2000
	defaultWidth, defaultHeight  = 560, 150
	scale                        = 2 // device pixels for a CSS pixel: sharp on every screen
	maxPoints                    = 1 << 20
	textSize, textGap, tickWidth = 11, 6, 3
)

// The light theme of the pages; a mail has no way to ask for the reader's.
var (
	paper  = color.RGBA{0xff, 0xff, 0xff, 0xff}
	rule   = color.RGBA{0xe4, 0xe4, 0xdf, 0xff}
	axis   = color.RGBA{0xcf, 0xcf, 0xc8, 0xff}
	ink    = color.RGBA{0x16, 0x18, 0x1b, 0xff}
	faint  = color.RGBA{0x56, 0x5b, 0x62, 0xff}
	line   = color.RGBA{0x3b, 0x6f, 0xd8, 0xff}
	warn   = color.RGBA{0xa8, 0x6a, 0x00, 0xff}
	warnBg = color.RGBA{0xfd, 0xf2, 0xdc, 0xff}
	crit   = color.RGBA{0xc4, 0x32, 0x2b, 0xff}
	critBg = color.RGBA{0xfc, 0xe8, 0xe6, 0xff}
)

// Validate says whether the chart can be drawn; the error wraps muster.ErrInvalid. Empty sizes get their defaults.
func (c *Chart) Validate() error {
	if c.Width == 0 {
		c.Width = defaultWidth
	}
	if c.Height == 0 {
		c.Height = defaultHeight
	}
	if c.Zone == nil {
		c.Zone = time.UTC
	}
	bad := func(why string) error { return fmt.Errorf("plot: chart: %w: %s", muster.ErrInvalid, why) }
	switch span := c.To.Sub(c.From); {
	case c.Width < minSide || c.Height < minSide || c.Width > maxSide || c.Height > maxSide:
		return bad(fmt.Sprintf("width and height must be %d to %d", minSide, maxSide))
	case span < time.Second || span > 20*365*24*time.Hour:
		return bad("the range must be a second to twenty years long")
	case len(c.Points) > maxPoints:
		return bad("too many points")
	case c.Limit != nil && !finite(*c.Limit):
		return bad("the limit must be a number")
	}
	return nil
}

// PNG draws the chart. The picture is light, has twice the asked size in pixels, and a few kilobytes.
// The error wraps muster.ErrInvalid when the chart makes no sense; a chart without values is drawn empty.
func PNG(c Chart) ([]byte, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	d, err := newDrawing(&c)
	if err != nil {
		return nil, err
	}
	defer d.close()
	d.spans()
	d.grid()
	d.values()
	d.limit()
	var out bytes.Buffer
	enc := png.Encoder{CompressionLevel: png.DefaultCompression}
	if err := enc.Encode(&out, palette(d.img, paper, rule, axis, ink, faint, line, warn, warnBg, crit, critBg)); err != nil {
		return nil, fmt.Errorf("plot: encode: %w", err)
	}
	return out.Bytes(), nil
}

// drawing is a chart on its way to a picture. Positions are device pixels.
type drawing struct {
	c                        *Chart
	img                      *image.RGBA
	pen                      pen
	y                        scaleY
	left, top, right, bottom float64
	ticks                    []tickX
	zone                     string
	dots                     []dot // the points that are drawn, thinned
}

func newDrawing(c *Chart) (*drawing, error) {
	d := &drawing{c: c, img: image.NewRGBA(image.Rect(0, 0, c.Width*scale, c.Height*scale))}
	if err := d.pen.open(d.img); err != nil {
		return nil, err
	}
	d.pen.fill(0, 0, float64(d.img.Rect.Dx()), float64(d.img.Rect.Dy()), paper)
	d.y = fitY(c)
	labels := 0.0
	for _, v := range d.y.ticks {
		labels = max(labels, d.pen.width(d.y.text(v)))
	}
	d.ticks = ticksX(c)
	if len(d.ticks) > 0 { // the zone's name stands below the labels, left of the first time
		d.zone = d.ticks[0].at.Format("MST")
		labels = max(labels, d.pen.width(d.zone)+d.pen.width(d.ticks[0].text)/2)
	}
	d.left = labels + (textGap+2)*scale
	d.right = float64(d.img.Rect.Dx()) - 10*scale
	if last, ok := c.last(); ok {
		d.right -= d.pen.width(d.y.text(last.Value))
	}
	d.top, d.bottom = 8*scale, float64(d.img.Rect.Dy())-20*scale
	d.dots = d.thin()
	return d, nil
}

func (d *drawing) close() { d.pen.close() }

// x and h place an instant (in ms) and a value.
func (d *drawing) x(ms int64) float64 {
	from, to := d.c.From.UnixMilli(), d.c.To.UnixMilli()
	return d.left + (d.right-d.left)*float64(ms-from)/float64(to-from)
}

func (d *drawing) h(v float64) float64 {
	return d.bottom - (d.bottom-d.top)*(v-d.y.low)/(d.y.high-d.y.low)
}

// spans shades the times in which an alarm fired and marks where each began.
func (d *drawing) spans() {
	for _, s := range d.c.Spans {
		from, to := s.From, s.To
		if to.IsZero() || to.After(d.c.To) {
			to = d.c.To
		}
		starts := !from.Before(d.c.From)
		if !starts {
			from = d.c.From
		}
		if !from.Before(to) {
			continue
		}
		strong, soft := colours(s.Level)
		x0, x1 := d.x(from.UnixMilli()), d.x(to.UnixMilli())
		d.pen.fill(x0, d.top, max(x1, x0+scale), d.bottom, soft)
		if starts {
			d.pen.fill(x0, d.top, x0+scale, d.bottom, strong)
		}
	}
}

func colours(l muster.Level) (strong, soft color.RGBA) {
	if l == muster.LevelWarning {
		return warn, warnBg
	}
	return crit, critBg
}

// grid draws the lines behind the values and what stands beside and below them.
func (d *drawing) grid() {
	for i, v := range d.y.ticks {
		c := rule
		if i == 0 {
			c = axis
		}
		y := math.Round(d.h(v))
		d.pen.fill(d.left, y, d.right, y+1, c)
		d.pen.text(d.left-textGap*scale, y+textSize*scale*0.35, d.y.text(v), faint, 1)
	}
	base := d.bottom + (tickWidth+textSize+1)*scale
	d.pen.text(0, base, d.zone, faint, 0)
	end := d.pen.width(d.zone)
	for _, t := range d.ticks {
		x := math.Round(d.x(t.at.UnixMilli()))
		half := d.pen.width(t.text) / 2
		if x-half < end+textGap*scale || x+half > float64(d.img.Rect.Dx()) {
			continue
		}
		d.pen.fill(x, d.bottom, x+1, d.bottom+tickWidth*scale, axis)
		d.pen.text(x, base, t.text, faint, 0.5)
		end = x + half
	}
}

// limit draws the limit as a dashed line with its value above it.
func (d *drawing) limit() {
	if d.c.Limit == nil {
		return
	}
	strong, _ := colours(d.c.Level)
	y := math.Round(d.h(*d.c.Limit))
	for x := d.left; x < d.right; x += 7 * scale {
		d.pen.fill(x, y-1, min(x+4*scale, d.right), y+1, strong)
	}
	text := "limit " + d.y.text(*d.c.Limit)
	base := y - 4*scale
	if base-textSize*scale < d.top {
		base = y + (textSize+2)*scale
	}
	d.pen.text(d.left+4*scale, base, text, strong, 0)
}

// values draws the line, a dot at its end and the value there.
func (d *drawing) values() {
	for i, p := range d.dots {
		if p.starts {
			if i+1 == len(d.dots) || d.dots[i+1].starts {
				d.pen.disc(p.x, p.y, 1.2*scale) // a value alone between two gaps
			}
			continue
		}
		d.pen.stroke(d.dots[i-1].x, d.dots[i-1].y, p.x, p.y, 1.5*scale)
	}
	d.pen.paint(line)
	last, ok := d.c.last()
	if !ok {
		d.pen.text((d.left+d.right)/2, (d.top+d.bottom)/2-4*scale, "no values in this time", faint, 0.5)
		return
	}
	x, y := d.x(last.At), d.h(last.Value)
	d.pen.disc(x, y, 3*scale)
	d.pen.paint(line)
	if d.right-x < 40*scale {
		d.pen.text(d.right+5*scale, y+textSize*scale*0.35, d.y.text(last.Value), ink, 0)
	}
}
