package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/hub"
)

// disconnected is the answer of /api/disconnect.
type disconnected struct {
	Closed int          `json:"closed"`           // connections of this node, or of all nodes that answered
	Nodes  reach        `json:"nodes"`            // nodes that got the request
	ByNode []nodeClosed `json:"byNode,omitempty"` // if the query has nodes=all
	// Unanswered are the nodes that did not report a number of closed connections.
	Unanswered []NodeProblem `json:"unanswered,omitempty"`
	Detail     string        `json:"detail,omitempty"`
}

// nodeClosed is the number of connections that one node closed.
type nodeClosed struct {
	Node   string `json:"node"`
	Closed int    `json:"closed"`
}

// disconnect ends one connection, or those of a user, on this node or on all. The clients may come back at once.
func (o *Operator) disconnect(ctx context.Context, query url.Values) (any, error) {
	if err := onlyKeys(query, "connection", "user", "nodes"); err != nil {
		return nil, err
	}
	d := disconnection{Connection: query.Get("connection"), User: query.Get("user")}
	user, err := d.user()
	if err != nil {
		return nil, BadRequest(err.Error())
	}
	if query.Has("nodes") && query.Get("nodes") != string(allNodes) && query.Get("nodes") != string(thisNode) {
		return nil, BadRequest("nodes: must be all or this")
	}
	if query.Get("nodes") != string(allNodes) {
		return disconnected{Closed: o.close(d.Connection, user), Nodes: thisNode}, nil
	}
	answer := disconnected{Nodes: allNodes}
	reached, err := queryNodes(ctx, o, "disconnect", query, nil, func(node string, closed nodeClosed) {
		answer.Closed += closed.Closed
		answer.ByNode = append(answer.ByNode, nodeClosed{node, closed.Closed})
	})
	if err != nil {
		return nil, err
	}
	redis := o.redis()
	if answer.Unanswered = reached.Unanswered; len(answer.Unanswered) == 0 && (redis.Connected || !redis.Used) {
		return answer, nil
	}
	// A node without an answer may still act on the message that back ends send.
	if err := o.forward(ctx, d); err != nil {
		answer.Nodes, answer.Detail = thisNode, "disconnected from the nodes that answered only: "+err.Error()
		return Accepted{Answer: answer}, nil //nolint:nilerr // the answer reports the error
	}
	return answer, nil
}

// disconnectHere ends connections of this node at the request of any node.
func (o *Operator) disconnectHere(_ context.Context, query url.Values, _ []byte) (any, error) {
	d := disconnection{Connection: query.Get("connection"), User: query.Get("user")}
	user, err := d.user()
	if err != nil {
		return nil, BadRequest(err.Error())
	}
	return nodeClosed{o.node, o.close(d.Connection, user)}, nil
}

// forward sends a disconnection to the other nodes.
func (o *Operator) forward(ctx context.Context, d disconnection) error {
	message, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return o.others.Disconnect(ctx, message)
}

// TakeDisconnection carries out a disconnection that another node or a back end has sent. An error means that the
// message is malformed.
func (o *Operator) TakeDisconnection(message []byte) error {
	d, user, err := parseDisconnection(message)
	if err == nil {
		o.close(d.Connection, user)
	}
	return err
}

// close ends the connection with an id or, if id is empty, the connections of a user. It returns how many it ended.
func (o *Operator) close(id string, user events.ID) (closed int) {
	about := zap.String("connection", id)
	if id == "" {
		about = zap.Stringer("user", user)
	}
	closed = o.hub.CloseIf(hub.CloseByOperator, func(s *hub.Session) bool {
		return id == "" && s.Claims().User == user || id != "" && s.ID() == id
	})
	o.audit.Info("disconnected", about, zap.Int("closed", closed))
	return closed
}

// disconnection is the message to all nodes that ends connections: one, or those of a user.
type disconnection struct {
	Connection string `json:"connection,omitempty"`
	User       string `json:"user,omitempty"`
}

// user returns the user whose connections end; the zero id if it is one connection. It checks the message.
func (d disconnection) user() (user events.ID, err error) {
	if (d.Connection == "") == (d.User == "") {
		return user, errors.New("want either connection or user")
	}
	if d.Connection != "" {
		return user, nil
	}
	user, ok := events.ParseID(d.User)
	if !ok {
		return user, errors.New("user: must be a GUID")
	}
	return user, nil
}

// parseDisconnection reads and checks a message. user is zero if it is about one connection.
func parseDisconnection(message []byte) (d disconnection, user events.ID, err error) {
	const longest = 1 << 10
	if len(message) > longest || json.Unmarshal(message, &d) != nil {
		return d, user, errors.New("disconnect: not a JSON object of the documented form")
	}
	if user, err = d.user(); err != nil {
		return d, user, fmt.Errorf("disconnect: %w", err)
	}
	return d, user, nil
}
