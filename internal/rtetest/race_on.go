//go:build race

package rtetest

// buildFlags are those of the tests: a race in the program is then found by what the tests make it do.
func buildFlags() []string { return []string{"-race"} }

// RaceEnabled says whether the race detector looks on, with which everything takes ten times as long.
const RaceEnabled = true
