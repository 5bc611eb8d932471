package backplane_test

import (
	"testing"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/backplanetest"
	"github.com/rte-server/rte-server/internal/events"
)

// A publisher that access control confines to a lane must not reach clients of another organization, neither by a
// message nor by an entry of the lane's journal.
func TestReceiver_refusesEventsOfOtherOrganizations(t *testing.T) {
	r := backplane.NewReceiver(backplane.Options{Catalog: events.Builtin(), Sink: backplanetest.NewRecorder()})
	own := events.NewID()
	for name, test := range map[string]struct {
		organization events.ID
		want         bool
	}{"own": {own, true}, "foreign": {events.NewID(), false}} {
		data := backplanetest.NewEvent(backplanetest.Topic(test.organization, events.NewID()), 1).JSON()
		if _, ok := r.Decode(own, data); ok != test.want {
			t.Errorf("%s: a message is accepted: %t", name, ok)
		}
		if _, ok := r.DecodeAgain(own, data); ok != test.want {
			t.Errorf("%s: an entry of the journal is accepted: %t", name, ok)
		}
		wanted := func(events.Topic) bool { return true }
		if _, _, ok := r.Skim(own, data, wanted); ok != test.want {
			t.Errorf("%s: a message that may be wanted is accepted: %t", name, ok)
		}
	}
}
