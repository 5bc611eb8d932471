//go:build race

package authz_test

// raceEnabled says that allocations cannot be counted: under the race detector a sync.Pool drops values at random.
const raceEnabled = true
