package node

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

// errStopTimeout is the error of a node that had to be abandoned.
var errStopTimeout = errors.New("the server did not stop within shutdown.timeout")

// Run runs the node and what else is given until ctx ends or a part fails, then stops it: not ready, wait until the
// load balancer has seen that, refuse new clients, send away those that are there, end the parts.
func (n *Node) Run(ctx context.Context, also ...Task) error {
	// The parts outlive ctx: clients are sent away through them.
	parts, stopParts := context.WithCancel(context.WithoutCancel(ctx))
	defer stopParts()
	group, failed := errgroup.WithContext(parts)
	for _, t := range n.tasks {
		group.Go(func() error { return t(failed) })
	}
	if n.operators != nil {
		group.Go(func() error { return n.operators.serve(failed) })
		n.logger.Info("listening for operators", zap.Stringer("address", n.operators.listener.Addr()))
	}
	for _, t := range also {
		group.Go(func() error { return t(failed) })
	}
	n.awaitRevocations(ctx, failed)
	group.Go(func() error { return n.clients.serve(failed) })
	n.readiness.Ready()
	n.logger.Info("listening for clients", zap.Stringer("address", n.clients.listener.Addr()))

	select {
	case <-ctx.Done():
	case <-failed.Done():
	}
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), n.config.Shutdown.Timeout)
	defer cancel()
	n.stop(deadline, failed)
	stopParts()

	ended := make(chan error, 1)
	go func() { ended <- group.Wait() }()
	select {
	case err := <-ended:
		n.logger.Info("stopped", zap.Error(err))
		return err
	case <-deadline.Done():
		return errStopTimeout // the process ends, and with it what is stuck
	}
}

// awaitRevocations waits until the node knows what other nodes have revoked. If Redis is away it goes on without: no
// event arrives then, and what is revoked ends when Redis is back.
func (n *Node) awaitRevocations(ctx, failed context.Context) {
	if n.shared == nil {
		return
	}
	select {
	case <-n.shared.Tried():
		if !n.shared.Current() {
			n.logger.Warn("revocations were not read; clients with revoked tokens can connect until they are")
		}
	case <-failed.Done():
	case <-ctx.Done():
	}
}

// stop sends the clients away. It takes no longer than deadline allows, and does not linger if a part has failed.
func (n *Node) stop(deadline, failed context.Context) {
	c := &n.config.Shutdown
	n.readiness.Stopping()
	n.logger.Info("stopping", zap.Int("connections", n.transport.Connections()), zap.Duration("delay", c.Delay), zap.Duration("drain", c.Drain))
	select {
	case <-time.After(c.Delay):
	case <-failed.Done():
	case <-deadline.Done():
	}

	n.transport.Drain()
	warn := func(what string, err error) {
		if err != nil {
			n.logger.Warn("stopping took too long", zap.String("part", what), zap.Error(err))
		}
	}
	// Requests that are slow to come, or never come to their end, hold up no session. What still becomes a connection is sent
	// away in its handshake.
	requests := make(chan error, 1)
	go func() { requests <- n.clients.http.Shutdown(deadline) }()
	warn("sessions", n.hub.Drain(deadline, c.Drain))
	warn("requests", <-requests)
	warn("connections", n.transport.Shutdown(deadline))
	if n.operators != nil {
		n.operators.close()
	}
}
