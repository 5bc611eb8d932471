package node

import (
	"context"
	"errors"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/rte-server/rte-server/internal/console"
)

// errStopTimeout is the error of a node whose parts did not end in time.
var errStopTimeout = errors.New("the server did not stop within shutdown.timeout")

// Run runs the node and the tasks of also until ctx ends or one of them fails. Then it stops the node: it reports that
// it is not ready, waits until load balancers have seen that, refuses new clients, closes sessions and ends the parts.
// It returns the error of the part that failed first, or an error if the parts have not ended within shutdown.timeout;
// the caller must end the process then.
func (n *Node) Run(ctx context.Context, also ...Task) error {
	// The parts run on when ctx ends: clients are closed through them.
	parts, stopParts := context.WithCancel(context.WithoutCancel(ctx))
	defer stopParts()
	group, failed := errgroup.WithContext(parts)
	start := func(t Task) { group.Go(func() error { return t(failed) }) }
	for _, t := range n.tasks {
		start(t)
	}
	if n.operators != nil {
		start(n.operators.serve)
		n.logger.Info("listening for operators", zap.Stringer("address", n.OperatorAddr()))
	}
	for _, t := range also {
		start(t)
	}
	n.awaitRevocations(ctx, failed)
	start(n.clients.serve)
	start(n.awaitReady)
	n.logger.Info("listening for clients", zap.Stringer("address", n.ClientAddr()))

	select {
	case <-ctx.Done():
	case <-failed.Done():
	}
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), n.StopTimeout())
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
		return errStopTimeout
	}
}

// notifyManager sends a state to the service manager, systemd, as sd_notify(3) describes. It does nothing if no manager
// gave the process a NOTIFY_SOCKET.
func (n *Node) notifyManager(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		n.logger.Warn("service manager not notified", zap.String("state", state), zap.Error(err))
	}
}

// awaitRevocations waits until the node knows the revocations of other nodes. If Redis is away it gives up: no event
// arrives either, and connections with revoked tokens end when Redis is back.
func (n *Node) awaitRevocations(ctx, failed context.Context) {
	select {
	case <-n.others.Tried():
		if !n.others.Current() {
			n.logger.Warn("revocations could not be read; clients with revoked tokens can connect until they are")
		}
	case <-failed.Done():
	case <-ctx.Done():
	}
}

// awaitReady waits for what the node needs, until startup.timeout. Clients that come meanwhile are served.
func (n *Node) awaitReady(ctx context.Context) error {
	n.readiness.Await(ctx, n.config.Startup.Timeout, func(problems []console.Problem) {
		n.notifyManager(daemon.SdNotifyReady)
		for _, p := range problems {
			n.logger.Warn("missing after startup.timeout", zap.String("check", p.Check), zap.String("detail", p.Detail))
		}
		n.logger.Info("started", zap.String("state", n.readiness.Report().State))
	})
	return nil
}

// stop closes all sessions and both ports. It returns by deadline, and skips the delay if a part has failed.
func (n *Node) stop(deadline, failed context.Context) {
	c := &n.live.Load().Shutdown
	n.readiness.Draining()
	n.drainer.stop()
	n.notifyManager(daemon.SdNotifyStopping)
	n.logger.Info("stopping",
		zap.Int("connections", n.transport.Connections()), zap.Duration("delay", c.Delay), zap.Duration("drain", c.Drain))
	select {
	case <-time.After(c.Delay):
	case <-failed.Done():
	case <-deadline.Done():
	}

	n.transport.Drain()
	warn := func(part string, err error) {
		if err != nil {
			n.logger.Warn("stopping took too long", zap.String("part", part), zap.Error(err))
		}
	}
	// Slow or endless requests must not hold up sessions. A request that still becomes a connection is closed in its
	// handshake. Clients without a WebSocket need the port until their connections have ended.
	requests := make(chan error, 1)
	endRequests := func() { requests <- n.clients.http.Shutdown(deadline) }
	needed := n.transport.NeedsPort()
	if !needed {
		go endRequests()
	}
	moved := make(chan struct{})
	go func() {
		n.relay.move(deadline, c.Drain)
		close(moved)
	}()
	wait := min(c.Wait, max(c.Timeout-c.Delay-c.Drain-n.config.Timeouts.Close, 0))
	warn("sessions", n.hub.Drain(deadline, n.drainer.pace(c.Drain, wait)))
	<-moved
	if needed {
		warn("connections", n.transport.Shutdown(deadline))
		go endRequests()
		warn("requests", <-requests)
	} else {
		warn("requests", <-requests)
		warn("connections", n.transport.Shutdown(deadline))
	}
	n.relay.close()
	if n.operators != nil {
		n.operators.close()
	}
	n.peers.leave()
}
