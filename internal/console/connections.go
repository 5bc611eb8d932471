package console

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
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
	WaitingBytes  int64      `json:"waitingBytes"` // of frames behind a full socket
}

// ConnectionList is the answer of /api/connections.
type ConnectionList struct {
	Open        int          `json:"open"`     // connections of this node
	Matching    int          `json:"matching"` // open connections that match the query
	Connections []Connection `json:"connections"`
}

// connections lists the connections of this node, of one user or organization if the query has one. If more than limit
// match, it lists some of them.
func (o *Operator) connections(_ context.Context, query url.Values) (any, error) {
	if err := onlyKeys(query, "user", "organization", "limit"); err != nil {
		return nil, err
	}
	user, organization, limit := events.ID{}, events.ID{}, defaultListed
	for key, id := range map[string]*events.ID{"user": &user, "organization": &organization} {
		var ok bool
		if *id, ok = events.ParseID(query.Get(key)); query.Has(key) && !ok {
			return nil, BadRequest(key + ": must be a GUID")
		}
	}
	if query.Has("limit") {
		var err error
		if limit, err = strconv.Atoi(query.Get("limit")); err != nil || limit < 0 || limit > maxListed {
			return nil, BadRequest("limit: must be a number up to " + strconv.Itoa(maxListed))
		}
	}
	list := ConnectionList{Open: o.hub.Sessions().Len(), Connections: []Connection{}}
	for s := range o.hub.Sessions().All() {
		claims := s.Claims()
		if query.Has("user") && claims.User != user || query.Has("organization") && claims.Organization != organization {
			continue
		}
		if list.Matching++; list.Matching <= limit {
			list.Connections = append(list.Connections, describe(s))
		}
	}
	slices.SortFunc(list.Connections, func(a, b Connection) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.ID, b.ID))
	})
	return list, nil
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
	}
}
