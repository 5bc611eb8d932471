package node

import (
	"fmt"
	"strings"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/rte-server/rte-server/internal/config"
)

// The parts of the file descriptors that are not for clients.
const (
	// ownFiles are those of the process itself: ports, files, key sets, the directory, and clients that are turned away.
	ownFiles = 40
	// leastOperators and mostOperators bound the connections to the operator port, a sixteenth of the descriptors: probes,
	// Prometheus, people and publishers.
	leastOperators, mostOperators = 24, 256
	// leastRequests and mostRequests bound the sockets for requests that do not become connections, in the same way.
	leastRequests, mostRequests = 16, 256
	// redisFiles are those of one Redis server beside its subscribed connections: commands, probes, journals.
	redisFiles = 13
	// A machine of a deployment can serve more than fewConnections. A limit with room for fewer is an accident, such as
	// the 1,024 or 4,096 open files of many systems.
	fewConnections = 10_000
	// relayPart is the part of the descriptors that sockets to other nodes may have.
	relayPart = 8
)

// files says who may use how many of the file descriptors of the process. An operator port that shared them with
// clients did not answer while clients had them all, and the node could not connect to Redis again. 0: no limit.
type files struct {
	limit     int // of the process; 0: not known
	clients   int // sockets of the port for clients
	operators int // connections to the operator port
	relay     int // sockets to other nodes for clients
}

// divideFiles divides the file descriptors of the process.
func divideFiles(limit int, all *config.Config) files {
	c := &all.Redis
	if limit <= 0 {
		return files{}
	}
	f := files{limit: limit, operators: min(max(leastOperators, limit/16), mostOperators)}
	masters := len(c.Addresses)
	if c.SentinelMaster != "" {
		masters = max(masters, strings.Count(c.SentinelMaster, ",")+1)
	}
	own := ownFiles + f.operators + masters*(c.Connections+redisFiles)
	if all.Relay.Listen != "" {
		f.relay = min(all.Relay.Connections, limit/relayPart)
		own += f.relay
	}
	f.clients = max(limit-own, limit/4, 1)
	return f
}

// connections returns how many sockets of clients can be connections. The others are for the answers to requests: those
// for negotiate, and those that learn from a 503 that the node is full.
func (f files) connections() int {
	return max(f.clients-min(max(leastRequests, f.clients/16), mostRequests), f.clients/2, 1)
}

// FilesWarning returns why a node with this configuration, started by this process, would serve few connections; empty:
// it would serve enough.
func FilesWarning(c *config.Config) string {
	f := divideFiles(descriptors(), c)
	if room := f.connections(); f.limit > 0 && room < min(c.Limits.Connections, fewConnections) {
		return fmt.Sprintf("limits.connections: a process with at most %d open files, as this one, has room for %d of %d",
			f.limit, room, c.Limits.Connections)
	}
	return ""
}

// maxConnections returns limit, or less if the process may not open as many files. Above the limit of open
// files, clients would wait for an answer; above this limit they get 503.
func (n *Node) maxConnections(limit int) int {
	if room := n.files.connections(); n.files.limit > 0 && room < limit {
		level := zapcore.InfoLevel
		if room < fewConnections {
			level = zapcore.WarnLevel
		}
		n.logger.Log(level, "limits.connections is lowered to the limit of open files", zap.Int("configured", limit),
			zap.Int("connections", room), zap.Int("descriptors", n.files.limit))
		return room
	}
	return limit
}
