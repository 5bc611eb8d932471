package facts_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rte-server/rte-server/internal/events/facts"
)

const page = `Some prose that mentions
User

Event: LampSwitched

Example payload of Event: LampSwitched

{
  "EventType": "LampSwitched",
  "EntityType": "User",
  "Labels": {"a": "b"},
  "MessageTTLSeconds": 30
}

A lamp was switched.

Property name Value type Description
Labels Dictionary<string, string> Words on the lamp.
Room Guid? Where it hangs.

It may be switched again.

Queue

Event: DoorOpened

Example payload of Event: DoorOpened

{
  "MessageTTLSeconds": -1,
  "EntityType": "Queue",
  "EventType": "DoorOpened"
}

Property name Value type Description
Door int Number of the door. 1 - Front
`

func TestExtract_readsThePage(t *testing.T) {
	t.Run("OK", func(t *testing.T) {
		got, err := facts.Extract(page)
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			got[i].Payload = nil
		}
		want := []facts.Event{
			{
				Name: "LampSwitched", Kind: "User", TTLSeconds: 30,
				Table:  []facts.Property{{Name: "Labels", Type: "Dictionary<string, string>"}, {Name: "Room", Type: "Guid?"}},
				Sample: []string{"EventType", "EntityType", "Labels", "MessageTTLSeconds"},
			},
			{
				Name: "DoorOpened", Kind: "Queue", TTLSeconds: -1,
				Table:  []facts.Property{{Name: "Door", Type: "int"}},
				Sample: []string{"MessageTTLSeconds", "EntityType", "EventType"},
			},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})

	t.Run("PayloadByteForByte", func(t *testing.T) {
		got, err := facts.Extract(page)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(page, string(got[0].Payload)) ||
			!strings.HasPrefix(string(got[0].Payload), "{\n  \"EventType\"") {
			t.Errorf("not as on the page: %q", got[0].Payload)
		}
	})

	broken := map[string]string{
		"NoEvents":       "nothing here",
		"NoSample":       strings.Replace(page, "{\n  \"EventType\": \"Lamp", "\n  \"EventType\": \"Lamp", 1),
		"NoTable":        strings.Replace(page, "Property name", "Name", 1),
		"EmptyTable":     strings.Replace(page, "Labels Dictionary", "\nLabels Dictionary", 1),
		"NotJSON":        strings.Replace(page, `"User",`, `"User"`, 1),
		"OtherEventType": strings.Replace(page, `"LampSwitched",`, `"LampBroken",`, 1),
		"OtherKind":      strings.Replace(page, "Queue\n\nEvent", "CallList\n\nEvent", 1),
		"NoTTL":          strings.Replace(page, `"MessageTTLSeconds": -1,`, "", 1),
	}
	for name, text := range broken {
		t.Run(name, func(t *testing.T) {
			if got, err := facts.Extract(text); err == nil {
				t.Errorf("no error, got %+v", got)
			}
		})
	}
}
