package main

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/backplane/respserver"
	"github.com/rte-server/rte-server/internal/config"
	"github.com/rte-server/rte-server/internal/loopback"
	"github.com/rte-server/rte-server/internal/node"
)

// listenRedis opens the port for publishers with a Redis client. where is an address, or a port on the loopback
// address. If where is empty, there is no such port and the listener is nil.
func listenRedis(where string, logger *zap.Logger) (net.Listener, error) {
	if where == "" {
		return nil, nil
	}
	address := where
	if _, err := strconv.ParseUint(where, 10, 16); err == nil {
		address = net.JoinHostPort("127.0.0.1", where)
	} else if _, _, err := net.SplitHostPort(where); err != nil {
		return nil, usageError{fmt.Errorf("--redis-port: %q is neither a port nor host:port", where)}
	}
	if !loopback.Is(address) {
		logger.Warn(
			"configuration warning", zap.String("option", "--redis-port: anyone who can reach this address can publish"),
		)
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--redis-port: %w", err)
	}
	return listener, nil
}

// serveRedis returns the task that serves publishers.
func serveRedis(n *node.Node, c *config.Config, listener net.Listener) node.Task {
	server := respserver.New(respserver.Options{
		Publisher: n.Backplane(), Catalog: n.Catalog(), MaxBytes: c.Events.MaxBytes + 100,
	})
	return func(ctx context.Context) error { return server.Serve(ctx, listener) }
}
