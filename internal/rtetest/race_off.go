//go:build !race

package rtetest

// buildFlags are those of the tests.
func buildFlags() []string { return nil }
