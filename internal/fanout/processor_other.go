//go:build !linux

package fanout

// offerProcessor does nothing: the kernel decides.
func offerProcessor() {}
