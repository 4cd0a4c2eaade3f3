package plot

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// pen draws on a picture. Shapes are gathered and painted together, so that where they meet nothing is drawn twice.
type pen struct {
	img  *image.RGBA
	mask *image.Alpha
	face font.Face
}

func (p *pen) open(img *image.RGBA) error {
	f, err := opentype.Parse(goregular.TTF)
	if err != nil {
		return fmt.Errorf("plot: font: %w", err)
	}
	face, err := opentype.NewFace(f, &opentype.FaceOptions{Size: textSize * scale, DPI: 72, Hinting: font.HintingNone})
	if err != nil {
		return fmt.Errorf("plot: font: %w", err)
	}
	p.img, p.face = img, face
	p.mask = image.NewAlpha(img.Rect)
	return nil
}

func (p *pen) close() { _ = p.face.Close() }

// fill paints a rectangle whose edges lie on whole pixels.
func (p *pen) fill(x0, y0, x1, y1 float64, c color.RGBA) {
	r := image.Rect(int(math.Round(x0)), int(math.Round(y0)), int(math.Round(x1)), int(math.Round(y1)))
	draw.Draw(p.img, r, image.NewUniform(c), image.Point{}, draw.Src)
}

// stroke gathers a piece of line with round ends, coverage by coverage: where pieces meet nothing is drawn twice.
func (p *pen) stroke(x0, y0, x1, y1, width float64) {
	r := width / 2
	box := image.Rect(int(min(x0, x1)-r-1), int(min(y0, y1)-r-1), int(max(x0, x1)+r+2), int(max(y0, y1)+r+2)).Intersect(p.mask.Rect)
	dx, dy := x1-x0, y1-y0
	square := dx*dx + dy*dy
	for y := box.Min.Y; y < box.Max.Y; y++ {
		for x := box.Min.X; x < box.Max.X; x++ {
			px, py := float64(x)+0.5-x0, float64(y)+0.5-y0
			along := 0.0
			if square > 0 {
				along = max(0, min(1, (px*dx+py*dy)/square))
			}
			cover := r + 0.5 - math.Hypot(px-along*dx, py-along*dy)
			if cover <= 0 {
				continue
			}
			at := p.mask.PixOffset(x, y)
			p.mask.Pix[at] = max(p.mask.Pix[at], uint8(min(1, cover)*255))
		}
	}
}

// disc gathers a filled circle.
func (p *pen) disc(x, y, r float64) { p.stroke(x, y, x, y, 2*r) }

// paint puts what was gathered on the picture.
func (p *pen) paint(c color.RGBA) {
	draw.DrawMask(p.img, p.img.Rect, image.NewUniform(c), image.Point{}, p.mask, image.Point{}, draw.Over)
	clear(p.mask.Pix)
}

// text writes with the base line at y; align says which share of its width lies left of x.
func (p *pen) text(x, y float64, s string, c color.RGBA, align float64) {
	d := font.Drawer{Dst: p.img, Src: image.NewUniform(c), Face: p.face}
	d.Dot = fixed.Point26_6{X: fixed.Int26_6((x - align*p.width(s)) * 64), Y: fixed.Int26_6(math.Round(y) * 64)}
	d.DrawString(s)
}

// width gives how wide a text is, in device pixels.
func (p *pen) width(s string) float64 { return float64(font.MeasureString(p.face, s)) / 64 }

// palette gives the picture with at most 256 colours, which a PNG holds in a third of the bytes: shades that hardly
// differ become one, those in keep stay as they are. A picture of more colours comes back as it is.
func palette(img *image.RGBA, keep ...color.RGBA) image.Image {
	bucket := func(r, g, b uint8) uint16 { return uint16(r>>3)<<10 | uint16(g>>3)<<5 | uint16(b>>3) }
	var colours color.Palette
	index := make(map[uint16]uint8)
	add := func(c color.RGBA) (uint8, bool) {
		key := bucket(c.R, c.G, c.B)
		i, known := index[key]
		if !known {
			if len(colours) == 256 {
				return 0, false
			}
			i = uint8(len(colours))
			index[key], colours = i, append(colours, c)
		}
		return i, true
	}
	for _, c := range keep {
		add(c)
	}
	out := image.NewPaletted(img.Rect, nil)
	for i := range out.Pix {
		n, ok := add(color.RGBA{img.Pix[4*i], img.Pix[4*i+1], img.Pix[4*i+2], 0xff})
		if !ok {
			return img
		}
		out.Pix[i] = n
	}
	out.Palette = colours
	return out
}
