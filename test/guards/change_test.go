package guards

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// root is the root of the module, from this folder.
const root = "../.."

// change is a change of one source file.
type change struct {
	// what is the guard that is removed, or the bug that is planted, in the words of docs/guards.md. It is unique.
	what string
	// place is where on the way of an event a planted bug is; empty for guards.
	place string
	file  string // from the root of the repository
	// text occurs once in the file; instead replaces it.
	text, instead string
	// hole reports that no test noticed the bug when it was planted first.
	hole bool
	// tests notice the change. They run in this order until one fails.
	tests []tests
}

// tests are tests that may notice a change.
type tests struct {
	// in is the folder of a package, from the root of the repository.
	in string
	// names is a regular expression of the names of the tests; empty: all.
	names string
	// tags are build tags.
	tags string
	// make is a target of the Makefile to run instead, for a program that watches the server from outside. Its builds
	// have the change. The other fields are empty then.
	make string
}

// of returns the tests of a package whose names match.
func of(folder, names string) []tests { return []tests{{in: folder, names: names}} }

// all returns all tests of packages.
func all(folders ...string) (list []tests) {
	for _, folder := range folders {
		list = append(list, tests{in: folder})
	}
	return list
}

// changes returns the changes of all lists.
func changes() []change {
	return slices.Concat(guards(), planted(), plantedBySecond(), plantedByThird(), plantedByFourth())
}

// source returns the changed file.
func (c *change) source() ([]byte, error) {
	original, err := os.ReadFile(filepath.Join(root, c.file))
	if err != nil {
		return nil, err
	}
	if n := strings.Count(string(original), c.text); n != 1 {
		return nil, fmt.Errorf("%s has %d times: %s", c.file, n, c.text)
	}
	return []byte(strings.Replace(string(original), c.text, c.instead, 1)), nil
}

// overlay writes the changed file into a folder, and returns the option that makes the Go command use it.
func (c *change) overlay(folder string) (option string, err error) {
	text, err := c.source()
	if err != nil {
		return "", err
	}
	original, err := filepath.Abs(filepath.Join(root, c.file))
	if err != nil {
		return "", err
	}
	changed := filepath.Join(folder, filepath.Base(c.file))
	list, err := json.Marshal(map[string]map[string]string{"Replace": {original: changed}})
	if err != nil {
		return "", err
	}
	name := filepath.Join(folder, "overlay.json")
	if err := os.WriteFile(changed, text, 0o600); err != nil {
		return "", err
	}
	return "-overlay=" + name, os.WriteFile(name, list, 0o600)
}
