package mutants

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// ownTime and otherTime bound the tests that try a mutant, by the time that they take without it: those of its own
	// package, and those of each other package.
	ownTime, otherTime = 8 * time.Second, 2 * time.Second
	// otherPackages is the number of other packages whose tests try a mutant.
	otherPackages = 3
)

// trial tries mutants.
type trial struct {
	reaching map[int][]*single // by mutant: tests that pass without it
}

// newTrial builds the tests of packages and measures each of them once.
func newTrial(t *testing.T, option string, folders []string) *trial {
	t.Helper()
	var all []*single
	scratch := t.TempDir()
	for i, folder := range folders {
		if p := build(t, filepath.Join(scratch, fmt.Sprintf("%d.test", i)), folder, option); p != nil {
			all = append(all, p.tests(t)...)
		}
	}
	t.Logf("%d tests", len(all))
	var lock sync.Mutex
	made := &trial{reaching: map[int][]*single{}}
	each(t, all, func(ctx context.Context, i int, s *single) error {
		passes, err := s.measure(ctx, filepath.Join(scratch, fmt.Sprintf("%d.reached", i)))
		lock.Lock()
		defer lock.Unlock()
		if !passes {
			t.Logf("%s of %s fails without a mutant", s.name, s.of.folder)
			return err
		}
		for _, mutant := range s.reaches {
			made.reaching[mutant] = append(made.reaching[mutant], s)
		}
		return err
	})
	return made
}

// each does something with all elements of a list, as many at the same time as there are processors.
func each[T any](t *testing.T, list []T, do func(ctx context.Context, i int, element T) error) {
	t.Helper()
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(runtime.NumCPU())
	for i, element := range list {
		group.Go(func() error { return do(ctx, i, element) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

// batch are tests of one program that run together.
type batch struct {
	of    *program
	names []string
	takes time.Duration
}

// batches returns the tests that try a mutant: those of its package first, those that reach little else first.
func (tr *trial) batches(m *mutant) []*batch {
	tests := slices.Clone(tr.reaching[m.number])
	slices.SortStableFunc(tests, func(a, b *single) int { return cmp.Compare(a.cost(), b.cost()) })
	var list []*batch
	for _, s := range tests {
		i := slices.IndexFunc(list, func(b *batch) bool { return b.of == s.of })
		if i < 0 {
			i = len(list)
			list = append(list, &batch{of: s.of})
		}
		limit := otherTime
		if s.of.folder == m.folder() {
			limit = ownTime
		}
		if b := list[i]; b.takes+s.takes <= limit || b.names == nil {
			b.names = append(b.names, s.name)
			b.takes += s.takes
		}
	}
	slices.SortStableFunc(list, func(a, b *batch) int {
		return cmp.Or(-compare(a.of.folder == m.folder(), b.of.folder == m.folder()), cmp.Compare(a.takes, b.takes))
	})
	return list[:min(len(list), 1+otherPackages)]
}

// compare orders false before true.
func compare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// cost is high for a test that is slow, and for one that reaches much.
func (s *single) cost() int { return int(s.takes.Milliseconds()) * (200 + len(s.reaches)) }

// notices reports whether a test notices a mutant.
func (tr *trial) notices(ctx context.Context, m *mutant) bool {
	for _, b := range tr.batches(m) {
		if b.of.notices(ctx, m.number, "^("+strings.Join(b.names, "|")+")$", 10*time.Second+4*b.takes) {
			return true
		}
	}
	return false
}
