//go:build race

package hub_test

// churnCycles is how many clients come and go in TestNothingIsLeftOfClientsThatWent.
const churnCycles = 4_000
