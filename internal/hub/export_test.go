package hub

// BreakWorker ends the loop of a worker by a message that is not JSON, which the checks in front of the pool let nobody
// send. It returns how the call ended.
func (h *Hub) BreakWorker() string {
	c := &call{id: `"`, done: make(chan struct{})}
	h.pool.calls <- c
	<-c.done
	return c.outcome.String()
}

// QuotaUsed is what all organizations have of their quota.
func (h *Hub) QuotaUsed() (used int) {
	h.quota.mu.Lock()
	defer h.quota.mu.Unlock()
	for _, n := range h.quota.used {
		used += n
	}
	return used
}
