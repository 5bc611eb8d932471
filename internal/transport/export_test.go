package transport

import "fmt"

// Leftovers describes what a Handler still holds for connections and requests; empty after the last one has ended.
func (h *Handler) Leftovers() (left []string) {
	held := func(what string, n int) {
		if n != 0 {
			left = append(left, fmt.Sprintf("%d %s", n, what))
		}
	}
	cs := h.connections
	cs.mu.Lock()
	held("connections", len(cs.live))
	held("connections with a link", cs.linked)
	held("sockets that wait for a Sequence", len(cs.awaiting))
	held("unclaimed sockets", cs.unclaimed)
	held("organizations", len(cs.organizations.byKey))
	held("users", len(cs.users.byKey))
	held("networks", len(cs.networks.byKey))
	cs.mu.Unlock()
	held("bytes of incomplete messages", int(h.pending.Load()))
	h.requests.mu.Lock()
	held("refresh requests", len(h.requests.waiting))
	held("users with refresh requests", len(h.requests.users))
	held("refresh requests of other nodes", h.requests.working)
	h.requests.mu.Unlock()
	h.passing.mu.Lock()
	held("searches for owners", h.passing.all)
	held("users with searches for owners", len(h.passing.users))
	h.passing.mu.Unlock()
	return left
}
