package node

import (
	"context"

	"github.com/rte-server/rte-server/internal/backplane"
)

// assembleDrainer makes what sends clients to other nodes, and what this node knows of them.
func (n *Node) assembleDrainer() {
	own := func() announcement {
		return announcement{
			Node: n.name, State: n.readiness.Report().State, Connections: n.hub.Sessions().Len(),
			Waiting: n.transport.WaitingForRate(), Relay: n.relay.address(),
		}
	}
	logger := n.logger.Named("drain")
	balance := &rebalance{config: &n.config.Rebalance, logger: logger}
	n.peers = newPeers(peersOptions{
		own: own, away: func() bool { return !n.backplane.Health().Connected }, check: balance.check, reg: n.registry,
		queue: n.transport.WaitingForRate,
		send: func(ctx context.Context, message []byte) error {
			return n.backplane.Send(ctx, backplane.NodesChannel, message)
		},
	})
	n.drainer = &drainer{
		config: n.live.Load, hub: n.hub, transport: n.transport, relay: n.relay, readiness: n.readiness, peers: n.peers,
		own: own, logger: logger,
	}
	n.drainer.register(n.registry)
	balance.drainer = n.drainer
	balance.register(n.registry)
	n.tasks = append(n.tasks, n.drainer.run)
}
