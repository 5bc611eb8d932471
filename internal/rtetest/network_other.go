//go:build !linux

package rtetest

import (
	"context"
	"errors"
	"net"
)

// dialIn is never called: a Network needs Linux.
func dialIn(context.Context, string, string, string) (net.Conn, error) {
	return nil, errors.ErrUnsupported
}
