//go:build !race

package rtetest

// buildFlags are those of the tests.
func buildFlags() []string { return nil }

// RaceEnabled says whether the race detector looks on, with which everything takes ten times as long.
const RaceEnabled = false
