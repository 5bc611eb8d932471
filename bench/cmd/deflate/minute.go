package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rte-server/rte-server/bench/event"
	"github.com/rte-server/rte-server/internal/simulator"
)

// The minute begins an hour after the start of the day, as in BenchmarkDeflater_minute of the product.
const (
	scenario    = "bad-monday"
	minuteStart = time.Hour
	minuteEnd   = minuteStart + time.Minute
)

// personal are the types of events that only the user in question receives, and not the supervisors of the bench.
var personal = []string{"UserAlert", "UserSetting"}

// minute has the events of a minute of the simulated call centre, without personal ones.
type minute struct {
	topics []event.Topic // by number
	events []minuteEvent
}

// minuteEvent is one of its events.
type minuteEvent struct {
	at      time.Duration // since the start of the minute
	id      string
	topic   uint32
	payload []byte
}

// newMinute simulates the minute. Equal calls return equal events, except for the times in them: the minute starts at
// start and takes a minute divided by speed.
func newMinute(form event.Form, start time.Time, speed float64) (*minute, error) {
	organization := simulator.NewOrganization()
	day, err := simulator.LoadScenario(scenario, organization)
	if err != nil {
		return nil, fmt.Errorf("load scenario: %w", err)
	}
	faster := func(d time.Duration) time.Duration { return time.Duration(float64(d) / speed) }
	s, err := simulator.New(simulator.Options{
		Organization: organization, Scenario: day, Seed: 1, Start: start.Add(-faster(minuteStart)), Speed: speed,
	})
	if err != nil {
		return nil, fmt.Errorf("start simulator: %w", err)
	}
	// The tokens of the bench are for its own organization.
	rename := strings.NewReplacer(organization.ID.String(), event.OrganizationID(0))
	m, numbers := &minute{}, map[string]uint32{}
	for err == nil && s.Elapsed() < minuteEnd {
		s.Advance(func(data []byte) {
			if err == nil && s.Elapsed() >= minuteStart {
				err = m.add(rename.Replace(string(data)), form, faster(s.Elapsed()-minuteStart), numbers)
			}
		})
	}
	return m, err
}

// add adds an event. numbers has the numbers of the topics so far, by channel.
func (m *minute) add(text string, form event.Form, at time.Duration, numbers map[string]uint32) error {
	var fields struct{ ID, EntityID, EntityType, EventType string }
	if err := json.Unmarshal([]byte(text), &fields); err != nil {
		return fmt.Errorf("read event: %w", err)
	}
	if slices.Contains(personal, fields.EventType) {
		return nil
	}
	topic := event.Topic{
		Number:       uint32(len(m.topics)), //nolint:gosec // a call centre is small
		Organization: event.OrganizationID(0),
		Entity:       fields.EntityID,
		Kind:         fields.EntityType,
		Type:         fields.EventType,
	}
	if number, ok := numbers[topic.Channel()]; ok {
		topic.Number = number
	} else {
		numbers[topic.Channel()] = topic.Number
		m.topics = append(m.topics, topic)
	}
	if form == event.Message {
		text = event.Received(topic, text)
	}
	m.events = append(m.events, minuteEvent{at: at, id: fields.ID, topic: topic.Number, payload: []byte(text)})
	return nil
}
