package rtetest

import (
	"context"
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// dialIn opens a connection in a network namespace.
func dialIn(ctx context.Context, space, network, address string) (net.Conn, error) {
	type answer struct {
		conn net.Conn
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		// never unlocked: the thread ends with the goroutine, so no other goroutine runs in that namespace
		runtime.LockOSThread()
		conn, err := enterAndDial(ctx, space, network, address)
		answers <- answer{conn, err}
	}()
	a := <-answers
	return a.conn, a.err
}

// enterAndDial moves the goroutine's thread into the namespace and dials. A socket stays in the namespace in which it
// was made.
func enterAndDial(ctx context.Context, space, network, address string) (net.Conn, error) {
	file, err := os.Open(space)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
		return nil, os.NewSyscallError("setns", err)
	}
	var d net.Dialer
	return d.DialContext(ctx, network, address)
}
