package events_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/events/facts"
)

const samplesDir = "../../testdata/events"

// published returns the facts of the published page.
func published(t testing.TB) []facts.Event {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(samplesDir, "catalog.json"))
	if err != nil {
		t.Fatal(err)
	}
	var found []facts.Event
	if err := json.Unmarshal(text, &found); err != nil {
		t.Fatal(err)
	}
	return found
}

// sample returns the published payload of an event.
func sample(t testing.TB, name string) []byte {
	t.Helper()
	payload, err := os.ReadFile(filepath.Join(samplesDir, name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

// mustDecode decodes data.
func mustDecode(t testing.TB, c *events.Catalog, data []byte) events.Event {
	t.Helper()
	ev, err := c.Decode(data)
	if err != nil {
		t.Fatalf("Decode: %v", err)
	}
	return ev
}

// mustID parses a GUID.
func mustID(t testing.TB, s string) events.ID {
	t.Helper()
	id, ok := events.ParseID(s)
	if !ok {
		t.Fatalf("no GUID: %q", s)
	}
	return id
}
