package console

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/hub"
)

const (
	// defaultListed is the default of limit in /api/connections, maxListed its greatest value.
	defaultListed = 100
	maxListed     = 10_000
)

// Connection is one connection in the answer of /api/connections.
type Connection struct {
	ID            string     `json:"id"`
	User          string     `json:"user"`
	Organization  string     `json:"organization"`
	Role          authz.Role `json:"role"`
	TokenID       string     `json:"jti,omitempty"`
	Protocol      string     `json:"protocol"`
	Features      []string   `json:"features,omitempty"` // that the client requested
	Subscriptions int        `json:"subscriptions"`
	Since         time.Time  `json:"since"`
	Address       string     `json:"address,omitempty"` // of the client, in front of trusted proxies
	Client        string     `json:"client,omitempty"`  // its library and version, in its own words
	ReceivedBytes int64      `json:"receivedBytes"`
	SentBytes     int64      `json:"sentBytes"`
	WaitingBytes  int64      `json:"waitingBytes"`   // of frames behind a full socket
	DelayMS       int64      `json:"delayMs"`        // wait of the oldest of them
	Node          string     `json:"node,omitempty"` // if the query has nodes=all
}

// ConnectionList is the answer of /api/connections.
type ConnectionList struct {
	Open        int          `json:"open"`     // connections of this node, or of all nodes that answered
	Matching    int          `json:"matching"` // open connections that match the query
	Connections []Connection `json:"connections"`
	// Next is the parameter after of the request for the following connections; empty: there are none.
	Next string `json:"next,omitempty"`
	// Nodes lists who answered, if the query has nodes=all.
	Nodes *Reached `json:"nodes,omitempty"`
}

// connectionKeys are the parameters of /api/connections.
var connectionKeys = []string{
	"user", "organization", "address", "client", "protocol", "slow", "order", "limit", "after", "nodes",
}

// connections lists the connections of this node, or of all nodes, that match the query.
func (o *Operator) connections(ctx context.Context, query url.Values) (any, error) {
	if err := onlyKeys(query, connectionKeys...); err != nil {
		return nil, err
	}
	all, err := ofAllNodes(query)
	if err != nil {
		return nil, err
	}
	if !all {
		return o.connectionsHere(ctx, query, nil)
	}
	_, limit, err := parseConnectionQuery(query)
	if err != nil {
		return nil, err
	}
	list := ConnectionList{Connections: []Connection{}}
	more := false
	reached, err := queryNodes(ctx, o, "connections", query, nil, func(node string, answer ConnectionList) {
		list.Open, list.Matching, more = list.Open+answer.Open, list.Matching+answer.Matching, more || answer.Next != ""
		for i := range answer.Connections {
			answer.Connections[i].Node = node
		}
		list.Connections = append(list.Connections, answer.Connections...)
	})
	if err != nil {
		return nil, err
	}
	list.cut(query.Get("order"), limit, more)
	list.Nodes = &reached
	return list, nil
}

// connectionsHere lists the connections of this node.
func (o *Operator) connectionsHere(_ context.Context, query url.Values, _ []byte) (any, error) {
	match, limit, err := parseConnectionQuery(query)
	if err != nil {
		return nil, err
	}
	after, bySlowness := query.Get("after"), isSlowness(query.Get("order"))
	list := ConnectionList{Open: o.hub.Sessions().Len(), Connections: []Connection{}}
	for s := range o.hub.Sessions().All() {
		c := Connection{}
		if !match(s, &c) {
			continue
		}
		list.Matching++
		if c.ID == "" {
			c = describe(s)
		}
		if after != "" && !bySlowness && c.place() <= after {
			continue
		}
		list.Connections = append(list.Connections, c)
		if len(list.Connections) > keptListed*(limit+1) {
			list.cut(query.Get("order"), limit+1, false) // one more, to know whether there are others
		}
	}
	list.cut(query.Get("order"), limit, false)
	return list, nil
}

// keptListed bounds the descriptions that a query has in memory, in limits.
const keptListed = 8

// The orders that list the slowest clients first: by the bytes that wait, and by their delay. These lists have one
// page, since the figures change all the time.
const (
	orderWaiting = "waiting"
	orderDelay   = "delay"
)

func isSlowness(order string) bool { return order == orderWaiting || order == orderDelay }

// place is where the connection is in the list.
func (c *Connection) place() string { return strconv.FormatInt(c.Since.Unix(), 10) + "-" + c.ID }

// cut sorts the list and keeps the first of it.
func (l *ConnectionList) cut(order string, limit int, more bool) {
	slices.SortFunc(l.Connections, func(a, b Connection) int {
		switch order {
		case orderDelay:
			return cmp.Or(cmp.Compare(b.DelayMS, a.DelayMS), cmp.Compare(b.WaitingBytes, a.WaitingBytes),
				cmp.Compare(a.ID, b.ID))
		case orderWaiting:
			return cmp.Or(cmp.Compare(b.WaitingBytes, a.WaitingBytes), cmp.Compare(a.ID, b.ID))
		}
		return cmp.Compare(a.place(), b.place())
	})
	if l.Next = ""; len(l.Connections) > limit {
		l.Connections, more = l.Connections[:limit], true
	}
	if more && limit > 0 && len(l.Connections) > 0 && !isSlowness(order) {
		l.Next = l.Connections[len(l.Connections)-1].place()
	}
}

// parseConnectionQuery returns a function that reports whether a session matches; it may describe the session.
func parseConnectionQuery(query url.Values) (match func(*hub.Session, *Connection) bool, limit int, err error) {
	user, byUser, err := idParam(query, "user")
	if err != nil {
		return nil, 0, err
	}
	organization, byOrganization, err := idParam(query, "organization")
	if err != nil {
		return nil, 0, err
	}
	if limit, err = countParam(query, "limit", defaultListed, maxListed); err != nil {
		return nil, 0, err
	}
	for key, among := range map[string][]string{
		"slow": {"true", "false"}, "protocol": {"json", "messagepack"}, "order": {"since", orderWaiting, orderDelay},
	} {
		if query.Has(key) && !slices.Contains(among, query.Get(key)) {
			return nil, 0, BadRequest(key + ": must be one of " + strings.Join(among, ", "))
		}
	}
	address, client, protocol := query.Get("address"), strings.ToLower(query.Get("client")), query.Get("protocol")
	slow, further := query.Get("slow") == "true", query.Has("slow") || address != "" || client != "" || protocol != ""
	return func(s *hub.Session, c *Connection) bool {
		claims := s.Claims()
		if byUser && claims.User != user || byOrganization && claims.Organization != organization {
			return false
		}
		if !further {
			return true
		}
		*c = describe(s)
		return (!query.Has("slow") || slow == (c.WaitingBytes > 0)) && (address == "" || c.Address == address) &&
			(protocol == "" || c.Protocol == protocol) && strings.Contains(strings.ToLower(c.Client), client)
	}, limit, nil
}

// ofAllNodes reads the parameter nodes.
func ofAllNodes(query url.Values) (all bool, err error) {
	switch nodes := query.Get("nodes"); {
	case !query.Has("nodes") || nodes == string(thisNode):
		return false, nil
	case nodes == string(allNodes):
		return true, nil
	default:
		return false, BadRequest("nodes: must be all or this")
	}
}

// describe makes the entry of a session.
func describe(s *hub.Session) Connection {
	info, address := s.Info(), ""
	if info.Remote.Address.IsValid() {
		address = info.Remote.Address.String()
	}
	return Connection{
		ID: info.ID, User: info.Claims.User.String(), Organization: info.Claims.Organization.String(), Role: info.Claims.Role,
		TokenID: info.Claims.TokenID, Protocol: info.Protocol.String(), Features: info.Features.Names(),
		Subscriptions: info.Subscriptions, Since: info.Since.UTC(),
		Address: address, Client: info.Remote.Agent,
		ReceivedBytes: info.Remote.Received, SentBytes: info.Remote.Sent, WaitingBytes: info.Waiting,
		DelayMS: info.Delay.Milliseconds(),
	}
}
