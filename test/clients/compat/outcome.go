package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// module is where the packages of the tests are.
const module = "github.com/rte-server/rte-server/"

// outcomes tells what became of tests, by package and name; subtests have names of their own.
type outcomes map[string]map[string]bool

// readOutcomes reads what "go test -json" prints.
func readOutcomes(r io.Reader) (outcomes, error) {
	found := outcomes{}
	for decoder := json.NewDecoder(r); ; {
		var event struct{ Action, Package, Test string }
		if err := decoder.Decode(&event); errors.Is(err, io.EOF) {
			return found, nil
		} else if err != nil {
			return nil, fmt.Errorf("read the results of tests: %w", err)
		}
		if event.Test == "" || event.Action != "pass" && event.Action != "fail" {
			continue
		}
		pkg := strings.TrimPrefix(event.Package, module)
		if found[pkg] == nil {
			found[pkg] = map[string]bool{}
		}
		found[pkg][event.Test] = event.Action == "pass"
	}
}

// tally counts what was checked: tests, or their subtests where they have any.
type tally struct{ passed, failed int }

// add adds what was checked by a test, or by those of its subtests for which wanted holds.
func (t *tally) add(tests map[string]bool, name string, wanted func(subtest string) bool) {
	parents := map[string]bool{}
	for test := range tests {
		for i := range len(test) {
			if test[i] == '/' {
				parents[test[:i]] = true
			}
		}
	}
	for test, passed := range tests {
		if test != name && !strings.HasPrefix(test, name+"/") || parents[test] || !wanted(test) {
			continue
		}
		if passed {
			t.passed++
		} else {
			t.failed++
		}
	}
}

// String is the tally as the page shows it.
func (t tally) String() string {
	switch {
	case t == tally{}:
		return notRun
	case t.failed > 0:
		return fmt.Sprintf("%d of %d FAILED", t.failed, t.passed+t.failed)
	default:
		return fmt.Sprintf("%d passed", t.passed)
	}
}

// notRun stands for a test of which nothing is known.
const notRun = "–"
