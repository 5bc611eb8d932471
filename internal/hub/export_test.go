package hub

// QuotaUsed is what all organizations have of their quota.
func (h *Hub) QuotaUsed() (used int) {
	h.quota.mu.Lock()
	defer h.quota.mu.Unlock()
	for _, n := range h.quota.used {
		used += n
	}
	return used
}
