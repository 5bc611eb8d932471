package mutants

import (
	"bytes"
	"cmp"
	"slices"
)

// edit changes the text of a source. It puts text around a span, or replaces the span.
type edit struct {
	from, to      int // the span, in bytes
	before, after string
	replace       bool // the span by before
}

// edits are the edits of one source, those of outer nodes before those of inner ones.
type edits []edit

// insertion is one text of an edit.
type insertion struct {
	at, skip int
	text     string
	order    [3]int // among those at the same place
}

// apply returns the changed source. It has the lines of the original at the same numbers.
func (list edits) apply(source []byte) []byte {
	var all []insertion
	for i, e := range list {
		switch {
		case e.replace:
			all = append(all, insertion{e.from, e.to - e.from, e.before, [3]int{2, 0, i}})
		default: // what closes precedes what opens; the outer node opens first and closes last
			all = append(all, insertion{e.from, 0, e.before, [3]int{1, -e.to, i}},
				insertion{e.to, 0, e.after, [3]int{0, -e.from, -i}})
		}
	}
	slices.SortStableFunc(all, func(a, b insertion) int {
		return cmp.Or(cmp.Compare(a.at, b.at), slices.Compare(a.order[:], b.order[:]))
	})
	var changed bytes.Buffer
	done := 0
	for _, e := range all {
		changed.Write(source[done:e.at])
		changed.WriteString(e.text)
		done = e.at + e.skip
	}
	changed.Write(source[done:])
	return changed.Bytes()
}
