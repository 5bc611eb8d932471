package hub

import (
	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
)

// Denied is a refused item of a Subscribe. It contains no text that a client made up.
type Denied struct {
	Entity events.ID // zero: the client sent no GUID
	Event  string    // empty: the client sent no name of an event
	Code   string    // see SubscriptionResult
	Trace  string    // that the client received; empty: none
}

// deny passes the refused items of a Subscribe to Authorization.Denied.
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
