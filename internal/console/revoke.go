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
	answer := revoked{Revocation: r, Closed: closed, Nodes: allNodes}
	if err := o.others.Revoke(ctx, r); err != nil {
		o.audit.Error("revocation not shared", zap.Any("revocation", r), zap.Error(err))
		if errors.Is(err, token.ErrNeverShared) {
			return nil, fmt.Errorf("revoked on this node only: %w", err)
		}
		answer.Nodes, answer.Detail = thisNode, "revoked on this node only: "+err.Error()
		return Accepted{Answer: answer}, nil
	}
	return answer, nil
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
// one would otherwise count as absent.
func parseRevocation(body []byte) (r token.Revocation, err error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err == nil {
		for name := range members {
			switch name {
			case "jti", "user", "before", "until":
			default:
				return r, fmt.Errorf("revocation: unknown member %q; want jti, or user and perhaps before, and "+
					"perhaps until", name)
			}
		}
	}
	return r, r.UnmarshalJSON(body)
}
