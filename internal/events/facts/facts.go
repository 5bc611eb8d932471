// Package facts extracts the facts of the published description of the API: the events, their kinds of entities, their
// lifetimes, and the properties in their tables and samples. It leaves out the descriptions. The tests of package
// events compare the catalog with these facts.
package facts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Event has the facts of one event.
type Event struct {
	Name string `json:"name"`
	// Kind is the EntityType of the sample, and the heading above the event.
	Kind string `json:"kind"`
	// TTLSeconds is the MessageTTLSeconds of the sample.
	TTLSeconds int `json:"ttlSeconds"`
	// Table has the rows of the property table in the order of the page.
	Table []Property `json:"table"`
	// Sample has the property names of the sample payload in the order of the page.
	Sample []string `json:"sample"`
	// Payload is the sample as on the page, with a line feed at the end.
	Payload []byte `json:"-"`
}

// Property is one row of a property table.
type Property struct {
	Name string `json:"name"`
	// Type is spelled as on the page, for instance "Guid?" or "Dictionary<string, string>".
	Type string `json:"type"`
}

const tableHead = "Property name Value type Description"

var (
	eventHead = regexp.MustCompile(`^Event: (\w+)$`)
	row       = regexp.MustCompile(`^(\w+) (\w+<[^>]*>|\S+) \S`)
)

// Extract reads the text of the page and returns its events in the order of the page.
func Extract(page string) ([]Event, error) {
	var found []Event
	lines := strings.Split(page, "\n")
	kind := ""
	for i, line := range lines {
		if line == "User" || line == "Queue" || line == "CallList" {
			kind = line
		}
		head := eventHead.FindStringSubmatch(line)
		if head == nil {
			continue
		}
		end := i + 1
		for end < len(lines) && !eventHead.MatchString(lines[end]) {
			end++
		}
		ev, err := section(head[1], kind, lines[i+1:end])
		if err != nil {
			return nil, fmt.Errorf("event %s: %w", head[1], err)
		}
		found = append(found, ev)
	}
	if len(found) == 0 {
		return nil, errors.New("no events on the page")
	}
	return found, nil
}

// section reads the lines between the heading of an event and the next heading.
func section(name, kind string, lines []string) (Event, error) {
	ev := Event{Name: name, Kind: kind}
	start, end, head := -1, -1, -1
	for i, line := range lines {
		switch {
		case line == "{" && start < 0:
			start = i
		case line == "}" && end < 0:
			end = i + 1
		case line == tableHead && head < 0:
			head = i
		}
	}
	if start < 0 || end < start {
		return Event{}, errors.New("no sample payload")
	}
	if head < 0 {
		return Event{}, errors.New("no property table")
	}
	ev.Payload = []byte(strings.Join(lines[start:end], "\n") + "\n")
	if err := ev.readSample(); err != nil {
		return Event{}, fmt.Errorf("read sample: %w", err)
	}
	for _, line := range lines[head+1:] {
		cells := row.FindStringSubmatch(line)
		if cells == nil {
			break
		}
		ev.Table = append(ev.Table, Property{Name: cells[1], Type: cells[2]})
	}
	if len(ev.Table) == 0 {
		return Event{}, errors.New("the property table is empty")
	}
	return ev, nil
}

// readSample reads the names in order and the lifetime from the payload, and checks that it agrees with the headings.
func (ev *Event) readSample() error {
	var envelope struct {
		EventType, EntityType string
		MessageTTLSeconds     *int
	}
	if err := json.Unmarshal(ev.Payload, &envelope); err != nil {
		return err
	}
	if envelope.EventType != ev.Name || envelope.EntityType != ev.Kind || envelope.MessageTTLSeconds == nil {
		return fmt.Errorf(
			"the sample is a %s of a %s, below the heading %s", envelope.EventType, envelope.EntityType, ev.Kind,
		)
	}
	ev.TTLSeconds = *envelope.MessageTTLSeconds

	decoder := json.NewDecoder(bytes.NewReader(ev.Payload))
	if _, err := decoder.Token(); err != nil {
		return err
	}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return err
		}
		ev.Sample = append(ev.Sample, fmt.Sprint(name))
	}
	return nil
}

// Marshal returns the facts in the form of the file in testdata: JSON, one event after the other, with a line feed at
// the end.
func Marshal(found []Event) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(found); err != nil {
		return nil, fmt.Errorf("encode facts: %w", err)
	}
	return out.Bytes(), nil
}
