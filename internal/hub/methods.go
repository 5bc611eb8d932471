package hub

// run runs the method of a call, on a goroutine of the invoker, and keeps its result. Each method decides about the
// whole call and prepares in the call what changes with its answer; none fails as a whole, and none returns nil. The
// invoker encodes the result for clients that use JSON.
func (c *call) run() any {
	s := c.session
	switch c.method {
	case methodSubscribe:
		c.result = s.subscribe(c, c.requests)
	case methodUnsubscribe:
		c.result = s.unsubscribe(c, c.requests)
	case methodUnsubscribeAll:
		c.result = s.unsubscribeAll(c)
	case methodAvailableSubscriptions:
		c.result = s.hub.names
	case methodActiveSubscriptions:
		c.result = s.activeSubscriptions()
	}
	return c.result
}
