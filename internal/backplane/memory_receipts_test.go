package backplane_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/backplanetest"
	"github.com/rte-server/rte-server/internal/events"
)

// Without room for more receipts, requests that had begun could not end either. They stayed running, and a repeated
// request did not get their outcome.
func TestMemory_endsRequestsWithoutRoom(t *testing.T) {
	m := backplane.NewMemory(backplane.Options{Catalog: events.Builtin(), Sink: backplanetest.NewRecorder()})
	for _, key := range []string{"large", "small"} {
		if _, _, err := m.Begin(t.Context(), key, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.End(t.Context(), "large", strings.Repeat("x", 65<<20), true, time.Minute); err != nil {
		t.Fatal(err)
	}
	if _, _, err := m.Begin(t.Context(), "another", time.Minute); !errors.Is(err, backplane.ErrUnavailable) {
		t.Errorf("begin: %v, want no room", err)
	}
	if err := m.End(t.Context(), "small", "done", true, time.Minute); err != nil {
		t.Errorf("end: %v", err)
	}
	if known, running, err := m.Begin(t.Context(), "small", time.Minute); known != "done" || running || err != nil {
		t.Errorf("begin: %q %t %v", known, running, err)
	}
}

// The outcome of a request takes the place of its beginning, and of the outcome of an earlier try.
func TestMemory_countsOneReceiptOfARequest(t *testing.T) {
	m := backplane.NewMemory(backplane.Options{Catalog: events.Builtin(), Sink: backplanetest.NewRecorder()})
	text := strings.Repeat("x", 1<<20)
	for range 100 { // more than there is room for
		if _, _, err := m.Begin(t.Context(), "one", time.Minute); err != nil {
			t.Fatal(err)
		}
		if err := m.End(t.Context(), "one", text, false, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := m.Begin(t.Context(), "another", time.Minute); err != nil {
		t.Errorf("begin: %v", err)
	}
}
