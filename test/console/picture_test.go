package console_test

import (
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"slices"
	"testing"
)

// shrink writes a picture again with its 256 most frequent colours, without colours that look the same. The result
// takes a third of the bytes.
func shrink(t *testing.T, path string) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := png.Decode(file)
	file.Close()
	if err != nil {
		t.Fatal(err)
	}
	bounds := whole.Bounds()
	exact := image.NewNRGBA(bounds)
	draw.Draw(exact, bounds, whole, bounds.Min, draw.Src)
	counts := map[color.NRGBA]int{}
	for y := range bounds.Dy() {
		for x := range bounds.Dx() {
			counts[exact.NRGBAAt(x, y)]++
		}
	}
	colors := make([]color.NRGBA, 0, len(counts))
	for c := range counts {
		colors = append(colors, c)
	}
	slices.SortFunc(colors, func(a, b color.NRGBA) int { return counts[b] - counts[a] })
	palette := color.Palette{}
	for _, c := range colors {
		if len(palette) < 256 && (len(palette) == 0 || !near(palette[palette.Index(c)], c)) {
			palette = append(palette, c)
		}
	}
	nearest := map[color.NRGBA]uint8{}
	for _, c := range colors {
		nearest[c] = uint8(palette.Index(c)) // a palette has 256 colours at most
	}
	small := image.NewPaletted(bounds, palette)
	for y := range bounds.Dy() {
		for x := range bounds.Dx() {
			small.SetColorIndex(x, y, nearest[exact.NRGBAAt(x, y)])
		}
	}
	if file, err = os.Create(path); err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(file, small); err != nil {
		t.Fatal(err)
	}
}

// near reports whether two colours look the same.
func near(a, b color.Color) bool {
	const least = 6 << 8
	r1, g1, b1, _ := a.RGBA()
	r2, g2, b2, _ := b.RGBA()
	far := func(x, y uint32) bool { return max(x, y)-min(x, y) > least }
	return !far(r1, r2) && !far(g1, g2) && !far(b1, b2)
}
