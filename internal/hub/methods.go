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
		list := s.activeSubscriptions()
		if c.result = list; c.encode {
			return list.all()
		}
	}
	if !c.encode {
		return true
	}
	return c.result
}

// Sizes of the parts of an answer, in bytes of JSON, which takes more than MessagePack: of a SubscriptionResult with
// its longest message, code and trace id, but without entity and event, and of a Subscription.
const (
	resultBytes       = 240
	subscriptionBytes = 420
)

// answerSize returns about how large the answer to a call will be, rather too much than too little.
func (s *Session) answerSize(c *call, inv *Invocation) int {
	switch c.method {
	case methodSubscribe, methodUnsubscribe:
		return len(c.requests)*resultBytes + len(inv.Arguments[0])
	case methodActiveSubscriptions:
		return s.count() * subscriptionBytes
	default:
		return 0
	}
}
