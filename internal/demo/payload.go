package demo

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// fields are the properties of an event by their published names.
type fields map[string]any

// forever is the largest DateTime of .NET, which publishers use for an open end.
const forever = "9999-12-31T23:59:59.9999999"

// stamp writes a time in the form of .NET: in UTC, with seven decimals.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.0000000Z07:00") }

// stampOrNull returns null for the zero time.
func stampOrNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return stamp(t)
}

// emit queues an event about an entity for publishing. It adds the properties of the envelope to f.
func (s *Simulator) emit(eventType string, entity events.ID, f fields) {
	t, ok := s.catalog.Lookup(eventType)
	if !ok {
		panic("demo: no such event: " + eventType)
	}
	definition := s.catalog.Definition(t)
	organization := s.options.Organization.ID.String()

	message := fields{
		"RootEntityType":    "Organization",
		"RootEntityId":      organization,
		"OrganizationId":    organization,
		"EventType":         definition.Name,
		"EntityType":        definition.Kind.String(),
		"EntityId":          entity.String(),
		"Id":                s.newID().String(),
		"Timestamp":         stamp(s.clock(s.now)),
		"MessageTTLSeconds": definition.TTLSeconds,
	}
	maps.Copy(message, f)
	data, err := json.Marshal(message)
	if err != nil {
		panic(fmt.Sprintf("demo: event %s: %v", eventType, err))
	}
	s.outbox = append(s.outbox, data)
}
