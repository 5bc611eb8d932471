//go:build !linux

package fanout

// yieldProcessor does nothing.
func yieldProcessor() {}
