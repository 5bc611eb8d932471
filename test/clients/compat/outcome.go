package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// module is the path of the module.
const module = "github.com/rte-server/rte-server/"

// outcomes has the results of tests by package and name. Subtests have their own names.
type outcomes map[string]map[string]bool

// readOutcomes reads the output of "go test -json".
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

// tally counts tests. A test with subtests counts as its subtests.
type tally struct{ passed, failed int }

// add adds a test, or those of its subtests that wanted accepts.
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

// String returns the tally in the form of the page.
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

// notRun is the result of a test that was not run.
const notRun = "–"
