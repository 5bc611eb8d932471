package hub

import "context"

// BreakWorker ends the loop of a worker by a message that is not JSON, which the checks in front of the pool let nobody
// send. It returns how the call ended.
func (h *Hub) BreakWorker() string {
	c := &call{session: &Session{hub: h}, ctx: context.Background(), method: methodSubscribe, argument: "{"}
	h.pool.do(c)
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
