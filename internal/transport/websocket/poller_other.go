//go:build !linux

package websocket

import "errors"

// Poller exists on Linux only.
type Poller struct{}

// StartPoller returns an error: readers keep their goroutines.
func StartPoller() (*Poller, error) { return nil, errors.ErrUnsupported }

// Close does nothing.
func (*Poller) Close() {}

func (*Poller) add(*Socket, bool) bool { return false }

func (*Poller) remove(*Socket) {}
