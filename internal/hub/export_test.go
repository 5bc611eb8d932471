package hub

import "github.com/rte-server/rte-server/internal/events"

// QuotaUsed returns the number of subscriptions that are counted for quotas.
func (h *Hub) QuotaUsed() (used int) {
	h.quota.mu.Lock()
	defer h.quota.mu.Unlock()
	for _, n := range h.quota.used {
		used += n
	}
	return used
}

// Widen is widen.
var Widen = widen

// QuotaOf returns the number of subscriptions that are counted for the quota of an organization.
func (h *Hub) QuotaOf(organization events.ID) int {
	h.quota.mu.Lock()
	defer h.quota.mu.Unlock()
	return h.quota.used[organization]
}
