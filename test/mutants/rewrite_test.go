package mutants

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// want are the mutants of the sample, and whether its test notices them.
const want = `
New: a field is empty: Limit: max(limit, 1): noticed
New: a field is empty: Numbers: slices.Clone(numbers)
New: the other one of two bounds counts: max(limit, 1): noticed
New: a copy is not made: slices.Clone(numbers)
Add: a statement is left out: b.note(number): noticed
Add: two statements are swapped: b.note(number) <> b.Numbers = append(b.Numbers, number)
Add: a statement is left out: b.Numbers = append(b.Numbers, number): noticed
Add: a condition is never true: len(b.Numbers) >= b.Limit && !b.Left: noticed
Add: a condition is always true: len(b.Numbers) >= b.Limit && !b.Left: noticed
Add: a term is left out: len(b.Numbers) >= b.Limit of len(b.Numbers) >= b.Limit && !b.Left: noticed
Add: a term is left out: !b.Left of len(b.Numbers) >= b.Limit && !b.Left
Add: a boundary is moved: len(b.Numbers) >= b.Limit: noticed
Add: an error is lost: return b.fail(ErrFull): noticed
note: a statement is left out: b.Sum = b.Sum + number: noticed
note: an operand is left out: b.Sum + number: noticed
fail: an error is lost: return err: noticed
Size: a case is left out: len(b.Numbers) == 0: noticed
Size: a case is left out: len(b.Numbers) < b.Limit
Size: a boundary is moved: len(b.Numbers) < b.Limit: noticed
Empty: a result is inverted: return len(b.Numbers) == 0: noticed
`

// The mutants of a sample are found, and each behaves as it should: its test passes without a mutant, and notices some.
func TestMutants_ofASample(t *testing.T) {
	t.Parallel()
	const sample = "./test/mutants/testdata/sample"
	all, option := change(t, t.TempDir(), sample)
	tr := newTrial(t, option, []string{sample})
	got := make([]string, len(all))
	var lock sync.Mutex
	each(t, all, func(ctx context.Context, i int, m mutant) error {
		line := fmt.Sprintf("%s: %s: %s", m.in, m.kind, m.text)
		if tr.notices(ctx, &m) {
			line += ": noticed"
		}
		lock.Lock()
		defer lock.Unlock()
		got[i] = line
		return nil
	})
	if diff := cmp.Diff(strings.Split(strings.TrimSpace(want), "\n"), got); diff != "" {
		t.Error(diff)
	}
}

func TestEdits_nest(t *testing.T) {
	t.Parallel()
	source := []byte("a && b < c")
	changed := edits{
		{from: 0, to: 10, before: "all(", after: ")"},
		{from: 0, to: 1, before: "first(", after: ")"},
		{from: 5, to: 10, before: "less(", after: ")"},
		{from: 7, to: 8, before: ",", replace: true},
		{from: 9, to: 10, before: "last(", after: ")"},
	}.apply(source)
	if want := "all(first(a) && less(b , last(c)))"; string(changed) != want {
		t.Errorf("%q, want %q", changed, want)
	}
}
