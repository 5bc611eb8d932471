package mutants

import (
	"cmp"
	"context"
	"fmt"
	"maps"
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
	of           *program
	names        []string
	takes, limit time.Duration
}

// add adds a test, if there is time for it. There is always time for one.
func (b *batch) add(s *single) {
	if b.of == nil || b.takes+s.takes <= b.limit {
		b.of, b.names, b.takes = s.of, append(b.names, s.name), b.takes+s.takes
	}
}

// batches returns the tests that try a mutant, in the order of trial: those of its package, then those of the other
// packages whose tests take least. Of one package, tests that reach little else come first.
func (tr *trial) batches(m *mutant) []*batch {
	tests := slices.Clone(tr.reaching[m.number])
	slices.SortStableFunc(tests, func(a, b *single) int { return cmp.Compare(a.cost(), b.cost()) })
	own, others := batch{limit: ownTime}, map[*program]*batch{}
	for _, s := range tests {
		if s.of.folder == m.folder() {
			own.add(s)
			continue
		}
		if others[s.of] == nil {
			others[s.of] = &batch{limit: otherTime}
		}
		others[s.of].add(s)
	}
	list := slices.SortedFunc(maps.Values(others), func(a, b *batch) int {
		return cmp.Or(cmp.Compare(a.takes, b.takes), cmp.Compare(a.of.folder, b.of.folder))
	})
	list = list[:min(len(list), otherPackages)]
	if own.of != nil {
		list = slices.Insert(list, 0, &own)
	}
	return list
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
