//go:build !race

package rtetest

// buildFlags are the build flags of the tests.
func buildFlags() []string { return nil }

// RaceEnabled reports whether the race detector is on, with which everything takes ten times as long.
const RaceEnabled = false
