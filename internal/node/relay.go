package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/transport/relay"
)

// nodeRelay is the relay of a node and its port. A nil *nodeRelay is a node without one.
type nodeRelay struct {
	relay      *relay.Relay
	server     *relay.Server
	advertised atomic.Pointer[string] // the address that this node announces; nil: not known yet
}

// addressInterval is the time between two attempts to find out the address that this node announces.
const addressInterval = time.Second

// assembleRelay makes the relay, if there may be other nodes.
func (n *Node) assembleRelay(*Options) error {
	c := n.config
	if c.Relay.Listen == "" || !n.backplane.Shared() {
		return nil
	}
	secret, previous := connectionSecrets(c)
	connections := c.Relay.Connections
	if n.files.limit > 0 {
		connections = n.files.relay
	}
	r, err := relay.New(relay.Options{
		Secret: secret, PreviousSecrets: previous,
		Peers:       func() []string { return n.peers.relays(n.relay.address()) },
		Connections: connections, HeaderBytes: c.Limits.HeaderBytes,
		Send: c.Timeouts.Send, Close: c.Timeouts.Close, Head: c.Timeouts.Poll + c.Timeouts.Send, Registerer: n.registry,
		Logger: n.logger.Named("relay"),
	})
	if err != nil {
		return err
	}
	n.relay = &nodeRelay{relay: r}
	return nil
}

// forTransport returns the relay; nil: there is none.
func (r *nodeRelay) forTransport() *relay.Relay {
	if r == nil {
		return nil
	}
	return r.relay
}

// listen opens the port for other nodes.
func (r *nodeRelay) listen(n *Node) error {
	if r == nil {
		return nil
	}
	listener, err := net.Listen("tcp", n.config.Relay.Listen)
	if err != nil {
		return fmt.Errorf("relay.listen: %w", err)
	}
	r.server = r.relay.NewServer(listener, n.transport.Relayed())
	n.tasks = append(n.tasks, r.serve, func(ctx context.Context) error { return r.advertise(ctx, n) })
	return nil
}

// serve answers other nodes until close.
func (r *nodeRelay) serve(context.Context) error {
	if err := r.server.Serve(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("relay: %w", err)
	}
	return nil
}

// advertise finds out the address that this node announces. The name of Redis may not be known yet.
func (r *nodeRelay) advertise(ctx context.Context, n *Node) error {
	for {
		address, err := n.relayAddress(ctx, r.server.Addr())
		if err == nil {
			r.advertised.Store(&address)
			n.peers.requested.Set()
			n.logger.Info("listening for nodes", zap.Stringer("address", r.server.Addr()), zap.String("advertised", address))
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(addressInterval):
		}
	}
}

// relayAddress returns the address that this node announces: as configured, or the address of this machine on the way
// to Redis.
func (n *Node) relayAddress(ctx context.Context, listening net.Addr) (string, error) {
	c := &n.config.Relay
	if _, _, err := net.SplitHostPort(c.Advertise); err == nil {
		return c.Advertise, nil
	}
	host, port, err := net.SplitHostPort(listening.String())
	if err != nil {
		return "", err
	}
	if c.Advertise != "" {
		return net.JoinHostPort(c.Advertise, port), nil
	}
	if ip := net.ParseIP(host); ip != nil && !ip.IsUnspecified() {
		return net.JoinHostPort(host, port), nil
	}
	dialer := net.Dialer{Timeout: addressInterval}
	conn, err := dialer.DialContext(ctx, "udp", n.config.Redis.Addresses[0]) // sends nothing
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if host, _, err = net.SplitHostPort(conn.LocalAddr().String()); err == nil && net.ParseIP(host).IsLoopback() {
		n.logger.Info("nodes on other machines cannot reach this one: Redis is on this machine; set relay.advertise")
	}
	return net.JoinHostPort(host, port), err
}

// address returns the address that this node announces; empty: none.
func (r *nodeRelay) address() string {
	if r == nil {
		return ""
	}
	if address := r.advertised.Load(); address != nil {
		return *address
	}
	return ""
}

// setSecrets replaces the secrets.
func (r *nodeRelay) setSecrets(secret []byte, previous [][]byte) error {
	if r == nil || len(secret) == 0 {
		return nil
	}
	return r.relay.SetSecrets(secret, previous...)
}

// move ends the sockets of clients whose connections are on other nodes, over a time. The clients continue through
// other nodes.
func (r *nodeRelay) move(ctx context.Context, over time.Duration) {
	if r != nil {
		r.relay.Move(ctx, over)
	}
}

// close ends all sockets and requests that are passed on, and the port.
func (r *nodeRelay) close() {
	if r != nil {
		r.relay.Close()
		r.server.Close()
	}
}

// relays returns the relay addresses of the peers, without that of this node.
func (p *peers) relays(own string) (addresses []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, peer := range p.known {
		if peer.Relay != "" && peer.Relay != own && !slices.Contains(addresses, peer.Relay) {
			addresses = append(addresses, peer.Relay)
		}
	}
	return addresses
}

// isRelay reports whether another node may have announced an address.
func isRelay(address string) bool {
	_, _, err := net.SplitHostPort(address)
	return address == "" || err == nil
}
