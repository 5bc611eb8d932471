//go:build race

package hub_test

// churnCycles is the number of clients of TestHub_keepsNothingOfClientsThatLeft.
const churnCycles = 4_000
