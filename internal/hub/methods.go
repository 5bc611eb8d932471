package hub

// The methods of the hub. Each runs on a goroutine of the invoker, decides about the whole call and prepares in the
// call what changes with its answer. None fails as a whole, and none returns nil.

// run runs the method of a call and keeps its result. The result is what the invoker encodes for clients that speak
// JSON.
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
