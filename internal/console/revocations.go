package console

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/authz/token"
	"github.com/rte-server/rte-server/internal/events"
)

// RevocationList is the answer of GET /api/revocations.
type RevocationList struct {
	// Matching is the number of revocations that match the query, those that undo others included.
	Matching    int                `json:"matching"`
	Revocations []token.Revocation `json:"revocations"`
}

// Undone is the answer of DELETE /api/revocations.
type Undone struct {
	Revocation token.Revocation `json:"revocation"` // with undone
	// Known reports whether the node knew a revocation. It undoes what other nodes know in any case.
	Known  bool   `json:"known"`
	Nodes  reach  `json:"nodes"` // that know it
	Detail string `json:"detail,omitempty"`
}

// listRevocations lists the revocations in force, of one user or token if the query has one. If more than limit match,
// it lists the latest.
func (o *Operator) listRevocations(_ context.Context, query url.Values) (any, error) {
	if err := onlyKeys(query, "user", "jti", "limit"); err != nil {
		return nil, err
	}
	only, limit := token.Revocation{TokenID: query.Get("jti")}, defaultListed
	var ok bool
	if only.User, ok = events.ParseID(query.Get("user")); query.Has("user") && !ok {
		return nil, BadRequest("user: must be a GUID")
	}
	if query.Has("limit") {
		var err error
		if limit, err = strconv.Atoi(query.Get("limit")); err != nil || limit < 0 || limit > maxListed {
			return nil, BadRequest("limit: must be a number up to " + strconv.Itoa(maxListed))
		}
	}
	all := slices.DeleteFunc(o.revocations.All(), func(r token.Revocation) bool {
		return query.Has("user") && (r.TokenID != "" || r.User != only.User) || query.Has("jti") && r.TokenID != only.TokenID
	})
	slices.SortFunc(all, func(a, b token.Revocation) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.TokenID, b.TokenID), cmp.Compare(a.User.String(), b.User.String()))
	})
	return RevocationList{Matching: len(all), Revocations: all[:min(limit, len(all))]}, nil
}

// undo ends the revocations of a token or of a user, on all nodes.
func (o *Operator) undo(ctx context.Context, query url.Values) (any, error) {
	if err := onlyKeys(query, "user", "jti"); err != nil {
		return nil, err
	}
	r := token.Revocation{TokenID: query.Get("jti"), Undone: true}
	var ok bool
	switch {
	case query.Has("user") == query.Has("jti"), query.Has("jti") && r.TokenID == "":
		return nil, BadRequest("want either jti or user")
	case query.Has("user"):
		if r.User, ok = events.ParseID(query.Get("user")); !ok {
			return nil, BadRequest("user: must be a GUID")
		}
	}
	answer := Undone{Known: o.revocations.Order(&r)}
	r.Until = time.Now().Add(o.ttl)
	if _, err := o.revocations.Add(r); err != nil {
		return nil, err
	}
	o.audit.Info("revocation undone", zap.Any("revocation", r), zap.Bool("known", answer.Known))
	var err error
	answer.Revocation = r
	answer.Nodes, answer.Detail, err = o.sendToOthers(ctx, &r)
	return partly(answer.Nodes, answer), err
}
