package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/console"
	"github.com/rte-server/rte-server/internal/hub"
)

// operator does what is asked for on the operator's port.
type operator struct {
	hub         *hub.Hub
	gate        *authz.Gate
	revocations *authz.Revocations
	ttl         time.Duration // of revocations that do not say until when they count
	audit       *zap.Logger
}

// operations are the paths of the port.
func (o *operator) operations() console.Operations {
	return console.Operations{Revoke: o.revoke, Explain: o.explain, Connections: o.connections, Disconnect: o.disconnect}
}

// revoked is the answer to a revocation.
type revoked struct {
	Revocation authz.Revocation `json:"revocation"` // as it is in force
	Closed     int              `json:"closed"`     // connections of this node that it ended
}

// revoke takes a revocation into force and ends the connections that it is about.
func (o *operator) revoke(_ context.Context, body []byte) (any, error) {
	r, err := parseRevocation(body)
	if err != nil {
		return nil, console.BadRequest(err.Error())
	}
	if r.Until.IsZero() {
		r.Until = time.Now().Add(o.ttl)
	}
	if !r.Until.After(time.Now()) {
		return nil, console.BadRequest("revocation: until: is over")
	}
	closed, err := o.enforce(&r)
	if err != nil {
		return nil, err
	}
	return revoked{r, closed}, nil
}

// enforce takes a revocation into force on this node.
func (o *operator) enforce(r *authz.Revocation) (closed int, err error) {
	if err := o.revocations.Add(*r); err != nil {
		o.audit.Error("revocation refused", zap.Any("revocation", r), zap.Error(err))
		return 0, err
	}
	closed = o.hub.CloseIf(hub.CloseRevoked, func(s *hub.Session) bool { return r.Covers(s.Claims()) })
	o.audit.Info("revoked", zap.Any("revocation", r), zap.Int("closed", closed))
	return closed, nil
}

// parseRevocation reads a revocation that a person may have written: what is misspelt must not be taken for absent.
func parseRevocation(body []byte) (r authz.Revocation, err error) {
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

// sweep is a task that forgets revocations.
func (o *operator) sweep(ctx context.Context) error {
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
