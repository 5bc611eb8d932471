package hub

import (
	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
)

// Denied is an item of a Subscribe that was refused. It has nothing in it that a client could have made up.
type Denied struct {
	Entity events.ID // zero: what was sent is not a GUID
	Event  string    // empty: what was sent is not the name of an event
	Code   string    // see SubscriptionResult
	Trace  string    // that the client was told; empty: none
}

// deny tells of what was refused.
func (s *Session) deny(requests []authz.Request, results []SubscriptionResult, trace string) {
	if s.hub.options.Authorization.Denied == nil {
		return
	}
	catalog := s.hub.options.Catalog
	for i := range results {
		if results[i].Subscribed {
			continue
		}
		d := Denied{Code: codeOf(*results[i].Message), Trace: trace}
		d.Entity, _ = events.ParseID(requests[i].EntityID)
		if event, ok := catalog.Lookup(requests[i].EventName); ok {
			d.Event = catalog.Definition(event).Name
		}
		s.hub.options.Authorization.Denied(s, d)
	}
}
