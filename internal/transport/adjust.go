package transport

import (
	"fmt"
	"sync/atomic"

	"github.com/rte-server/rte-server/internal/transport/origins"
)

// adjustable are the options of a Handler that may change while it serves.
type adjustable struct {
	origins atomic.Pointer[origins.Set]
	limits  atomic.Pointer[Limits]
}

// SetOrigins replaces Options.Origins. The error names an origin that no browser sends; nothing has changed then.
func (h *Handler) SetOrigins(list []string) error {
	set, err := origins.Parse(list)
	if err != nil {
		return fmt.Errorf("transport: Options.Origins: %w", err)
	}
	h.adjustable.origins.Store(&set)
	return nil
}

// SetLimits puts the limits of connections and rates into force, also for open connections. It closes none: where there
// are more than a limit allows, further ones are refused. It ignores the other limits.
func (h *Handler) SetLimits(limits Limits) {
	limits.setDefaults()
	h.limits.Store(&limits)
	h.connections.setLimits(&limits)
	h.metrics.limit.Set(float64(limits.Connections))
	h.queue.Left() // there may be room
}

// SetSecrets replaces Options.Secret and Options.PreviousSecrets. Connection tokens and messages of other nodes that
// were made with any of them are accepted.
func (h *Handler) SetSecrets(secret []byte, previous ...[]byte) error {
	ofTokens, err := deriveKeys("connection token", secret, previous)
	if err != nil {
		return err
	}
	ofRefresh, err := deriveKeys("refresh", secret, previous)
	if err != nil {
		return err
	}
	ofRedemptions, err := deriveKeys("redemption", secret, previous)
	if err != nil {
		return err
	}
	ofTickets, err := deriveKeys("ticket", secret, previous)
	if err != nil {
		return err
	}
	if err := h.tickets.setKeys(ofTickets); err != nil {
		return err
	}
	h.redemptions.keys.Store(&ofRedemptions)
	h.tokens.keys.Store(&ofTokens)
	h.requests.keys.Store(&ofRefresh)
	return nil
}

// setLimits replaces the limits.
func (cs *connections) setLimits(limits *Limits) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.limit = limits.Connections
	if cs.organizations.setQuota(limits.OrganizationConnections) {
		for _, c := range cs.live {
			cs.organizations.add(c.owner.organization)
		}
	}
	if cs.users.setQuota(limits.UserConnections) {
		for _, c := range cs.live {
			cs.users.add(c.owner.organizationUser())
		}
	}
	if cs.networks.setQuota(limits.AddressConnections) {
		for _, c := range cs.live {
			cs.networks.add(c.owner.network())
		}
	}
}

// setQuota replaces the quota. It reports whether the caller must add all connections: there was no quota before, so
// nothing was counted.
func (c *counts[K]) setQuota(quota int) (recount bool) {
	recount = c.quota == 0 && quota > 0
	c.quota = max(quota, 0)
	if recount {
		clear(c.byKey)
	}
	return recount
}
