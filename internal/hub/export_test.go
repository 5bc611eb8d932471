package hub

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
