package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/authz/token"
	"github.com/rte-server/rte-server/internal/hub"
)

// revoked is the answer of /api/revoke.
type revoked struct {
	Revocation token.Revocation `json:"revocation"` // as it is in force
	Closed     int              `json:"closed"`     // connections of this node that it ended
	Nodes      reach            `json:"nodes"`      // that know the revocation
	Detail     string           `json:"detail,omitempty"`
}

// revoke puts a revocation into force and ends the connections that it covers. If it could not reach the other nodes,
// the answer says so.
func (o *Operator) revoke(ctx context.Context, body []byte) (any, error) {
	r, err := parseRevocation(body)
	if err != nil {
		return nil, BadRequest(err.Error())
	}
	o.revocations.Order(&r)
	if r.Until.IsZero() {
		r.Until = time.Now().Add(o.ttl)
	}
	if !r.Until.After(time.Now()) {
		return nil, BadRequest("revocation: until: is over")
	}
	closed, err := o.enforce(&r)
	if err != nil {
		return nil, err
	}
	answer := revoked{Revocation: r, Closed: closed}
	answer.Nodes, answer.Detail, err = o.sendToOthers(ctx, &r)
	return partly(answer.Nodes, answer), err
}

// sendToOthers sends a revocation to the other nodes. It returns which nodes know it, with the reason if not all do.
func (o *Operator) sendToOthers(ctx context.Context, r *token.Revocation) (nodes reach, detail string, err error) {
	err = o.others.Revoke(ctx, *r)
	if err == nil {
		return allNodes, "", nil
	}
	o.audit.Error("revocation not shared", zap.Any("revocation", r), zap.Error(err))
	if errors.Is(err, token.ErrNeverShared) {
		return "", "", fmt.Errorf("in force on this node only: %w", err)
	}
	return thisNode, "in force on this node only: " + err.Error(), nil
}

// partly wraps an answer of an action that not all nodes have carried out.
func partly(nodes reach, answer any) any {
	if nodes == thisNode {
		return Accepted{Answer: answer}
	}
	return answer
}

// enforce puts a revocation into force on this node and returns how many connections it ended.
func (o *Operator) enforce(r *token.Revocation) (closed int, err error) {
	if _, err := o.revocations.Add(*r); err != nil {
		o.audit.Error("revocation refused", zap.Any("revocation", r), zap.Error(err))
		return 0, err
	}
	closed = o.hub.CloseIf(hub.CloseRevoked, func(s *hub.Session) bool { return r.Covers(s.Claims()) })
	o.audit.Info("revoked", zap.Any("revocation", r), zap.Int("closed", closed))
	return closed, nil
}

// Enforce ends the connections that fresh revocations of other nodes cover. nil means that any revocation in force may
// be fresh.
func (o *Operator) Enforce(fresh []token.Revocation) {
	closed := o.hub.CloseIf(hub.CloseRevoked, func(s *hub.Session) bool { return o.revocations.Check(s.Claims()) })
	if fresh == nil {
		o.audit.Info("revoked elsewhere", zap.Bool("many", true), zap.Int("closed", closed))
	}
	for i := range fresh {
		o.audit.Info("revoked elsewhere", zap.Any("revocation", &fresh[i]), zap.Int("closed", closed))
	}
}

// parseRevocation reads a revocation. A person may have written it: an unknown member is an error, because a misspelt
// one would otherwise count as absent. A user without before means the tokens that were issued until now, unless all
// says otherwise.
func parseRevocation(body []byte) (r token.Revocation, err error) {
	var members map[string]json.RawMessage
	all := false
	if err := json.Unmarshal(body, &members); err == nil {
		for name, value := range members {
			switch name {
			case "jti", "user", "before", "until":
			case "all":
				if err := json.Unmarshal(value, &all); err != nil {
					return r, errors.New("revocation: all: must be true or false")
				}
			default:
				return r, fmt.Errorf("revocation: unknown member %q; want jti, or user and perhaps before or all, and "+
					"perhaps until", name)
			}
		}
	}
	if err := r.UnmarshalJSON(body); err != nil {
		return r, err
	}
	switch {
	case all && (r.TokenID != "" || !r.Before.IsZero()):
		return r, errors.New("revocation: all: goes with user, without before")
	case r.TokenID == "" && r.Before.IsZero() && !all:
		r.Before = time.UnixMilli(time.Now().UnixMilli())
	}
	return r, nil
}
