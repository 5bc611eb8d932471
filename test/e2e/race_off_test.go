//go:build !race

package e2e

// buildFlags are those of the tests.
var buildFlags []string
