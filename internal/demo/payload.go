package demo

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// fields are the properties of an event, by the names under which they are published.
type fields map[string]any

// forever is how .NET writes its last moment, which publishers use for states without an end.
const forever = "9999-12-31T23:59:59.9999999"

// stamp writes a time as .NET does: in UTC, with seven decimals.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.0000000Z07:00") }

// stampOrNull is null for the zero time.
func stampOrNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return stamp(t)
}

// emit makes an event about an entity. Property names that every event has are added to f.
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
