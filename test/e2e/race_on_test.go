//go:build race

package e2e

// buildFlags are those of the tests: a race in the program is then found by what the tests make it do.
var buildFlags = []string{"-race"}
