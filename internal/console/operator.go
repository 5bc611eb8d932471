package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/authz/token"
	"github.com/rte-server/rte-server/internal/hub"
)

// OperatorOptions are what an Operator works with. All are needed.
type OperatorOptions struct {
	Hub           *hub.Hub
	Gate          *authz.Gate
	Revocations   *token.Revocations
	RevocationTTL time.Duration // of revocations that do not say until when they count
	Audit         *zap.Logger
}

// Operator does what is asked for on the operator's port.
type Operator struct {
	hub         *hub.Hub
	gate        *authz.Gate
	revocations *token.Revocations
	ttl         time.Duration
	audit       *zap.Logger

	// Zero where there are no other nodes.
	shared         *token.SharedRevocations
	tellDisconnect func(ctx context.Context, message []byte) error
}

// NewOperator makes an operator of one node. Share lets it reach all.
func NewOperator(o OperatorOptions) *Operator {
	return &Operator{hub: o.Hub, gate: o.Gate, revocations: o.Revocations, ttl: o.RevocationTTL, audit: o.Audit}
}

// Share lets the operator reach all nodes. It must be called before the port is opened.
func (o *Operator) Share(shared *token.SharedRevocations, tellDisconnect func(ctx context.Context, message []byte) error) {
	o.shared, o.tellDisconnect = shared, tellDisconnect
}

// Operations are the paths of the port.
func (o *Operator) Operations() Operations {
	return Operations{Revoke: o.revoke, Explain: o.explain, Connections: o.connections, Disconnect: o.disconnect}
}

// revoked is the answer to a revocation.
type revoked struct {
	Revocation token.Revocation `json:"revocation"` // as it is in force
	Closed     int              `json:"closed"`     // connections of this node that it ended
	Nodes      reach            `json:"nodes"`      // that know of it
	Detail     string           `json:"detail,omitempty"`
}

// reach is which nodes something was told.
type reach string

const (
	allNodes reach = "all"
	thisNode reach = "this"
)

// revoke takes a revocation into force and ends the connections that it is about. If the other nodes could not be told,
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
	if o.shared == nil {
		return answer, nil
	}
	if err := o.shared.Share(ctx, r); err != nil {
		o.audit.Error("revocation not shared", zap.Any("revocation", r), zap.Error(err))
		if errors.Is(err, token.ErrNeverShared) {
			return nil, fmt.Errorf("revoked on this node only: %w", err)
		}
		answer.Nodes, answer.Detail = thisNode, "revoked on this node only: "+err.Error()
		return Accepted{Answer: answer}, nil
	}
	return answer, nil
}

// enforce takes a revocation into force on this node.
func (o *Operator) enforce(r *token.Revocation) (closed int, err error) {
	if _, err := o.revocations.Add(*r); err != nil {
		o.audit.Error("revocation refused", zap.Any("revocation", r), zap.Error(err))
		return 0, err
	}
	closed = o.hub.CloseIf(hub.CloseRevoked, func(s *hub.Session) bool { return r.Covers(s.Claims()) })
	o.audit.Info("revoked", zap.Any("revocation", r), zap.Int("closed", closed))
	return closed, nil
}

// Enforce ends the connections that revocations made elsewhere are about; nil: any of those in force.
func (o *Operator) Enforce(fresh []token.Revocation) {
	closed := o.hub.CloseIf(hub.CloseRevoked, func(s *hub.Session) bool { return o.revocations.Check(s.Claims()) })
	if fresh == nil {
		o.audit.Info("revoked elsewhere", zap.Bool("many", true), zap.Int("closed", closed))
	}
	for i := range fresh {
		o.audit.Info("revoked elsewhere", zap.Any("revocation", &fresh[i]), zap.Int("closed", closed))
	}
}

// parseRevocation reads a revocation that a person may have written: what is misspelt must not be taken for absent.
func parseRevocation(body []byte) (r token.Revocation, err error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err == nil {
		for name := range members {
			switch name {
			case "jti", "user", "before", "until":
			default:
				return r, fmt.Errorf("revocation: unknown member %q; want jti, or user and perhaps before, and perhaps until", name)
			}
		}
	}
	return r, r.UnmarshalJSON(body)
}

// sweepInterval is how often revocations are forgotten that no longer matter.
const sweepInterval = time.Minute

// Sweep forgets revocations.
func (o *Operator) Sweep(ctx context.Context) error {
	ticker := time.NewTicker(sweepInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			o.revocations.Sweep()
		case <-ctx.Done():
			return nil
		}
	}
}
