package backplane

import (
	"context"
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// The channels of control messages, see docs/authorization.md. The names on Redis begin with Layout.Prefix.
const (
	RevokeChannel     = "rte:c:revoke"
	DirectoryChannel  = "rte:c:directory"
	DisconnectChannel = "rte:c:disconnect"
	// RefreshChannel is for nodes only, which authenticate their messages on it.
	RefreshChannel = "rte:c:refresh"
	// TokensChannel is for nodes only, too: which connection tokens they have accepted.
	TokensChannel = "rte:c:tokens" //nolint:gosec // the name of a channel
	// NodesChannel is for nodes only: each announces its state and its number of connections.
	NodesChannel = "rte:c:nodes"
	// QueryChannel is for the queries of operators, which nodes send each other and authenticate.
	QueryChannel = "rte:c:query"
)

// AnswerChannel returns the channel for the answers to the queries of a node.
func AnswerChannel(node string) string { return "rte:c:answer:" + node }

// Control carries messages to all nodes that are not events. Nodes and back ends send them.
type Control interface {
	// Shared reports whether other nodes and back ends can use the same backplane. The in-process backplane is not
	// shared: there, Subscribe and Send do nothing, and Revocations keeps nothing.
	Shared() bool
	// Subscribe subscribes a channel of control messages for good. message takes each of them, one at a time; it must
	// not keep the payload or wait. The backplane calls missed whenever messages may have been missed: on the first
	// subscription, after each interruption, and when the node has fallen behind. missed must not wait either; it may
	// be nil.
	Subscribe(channel string, message func(payload []byte), missed func())
	// Send sends a message to the nodes that are connected now. Its error wraps ErrUnavailable.
	Send(ctx context.Context, channel string, message []byte) error
	// Revocations are those that all nodes share.
	Revocations() Revocations
}

// Revocations store what is revoked, for all nodes. Their methods may be called from any goroutine.
type Revocations interface {
	// Keep stores a revocation until a time, unless it is stored for longer already, and then sends message to all
	// nodes. It rounds until up to the next second.
	Keep(ctx context.Context, member []byte, until time.Time, message []byte) error
	// Kept calls each with every revocation that is still in force, and removes expired ones. The order is undefined,
	// and a revocation may come twice.
	Kept(ctx context.Context, each func(member []byte, until time.Time)) error
}

// Documents reads the directory documents that back ends store in Redis.
type Documents interface {
	// Documents reads the documents of ids, in order, into documents, which has the length of ids. It stores nil for a
	// document that does not exist. The in-process backplane has none.
	Documents(ctx context.Context, ids []events.ID, documents [][]byte) error
}
