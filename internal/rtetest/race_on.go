//go:build race

package rtetest

// buildFlags are the build flags of the tests. With the race detector, tests also find races in the program that they
// start.
func buildFlags() []string { return []string{"-race"} }

// RaceEnabled reports whether the race detector is on, with which everything takes ten times as long.
const RaceEnabled = true
