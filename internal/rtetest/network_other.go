//go:build !linux

package rtetest

import (
	"context"
	"errors"
	"net"
)

// dialIn cannot be called: there is no Network without Linux.
func dialIn(context.Context, string, string, string) (net.Conn, error) {
	return nil, errors.ErrUnsupported
}
