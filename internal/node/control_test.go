package node

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/events"
)

// A recheck that begins before the cache forgets the old records finds them there, and lets the subscriptions stay.
func TestFollow_invalidatesBeforeTheRecheck(t *testing.T) {
	entity := events.NewID()
	var steps []string
	step := func(name string) func(authz.Change) {
		return func(change authz.Change) {
			steps = append(steps, fmt.Sprintf("%s %t %v", name, change.All, change.Entities))
		}
	}
	w := &channels{byName: map[string][]func([]byte){}}
	follow(newControl(w, zap.NewNop(), prometheus.NewRegistry()), step("invalidate"), step("recheck"))
	for _, message := range []string{`{"entities":["` + entity.String() + `"]}`, `{"entities":[]}`, `{"all":true}`} {
		if err := w.Send(t.Context(), backplane.DirectoryChannel, []byte(message)); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{
		"invalidate true []", "recheck true []", // messages may have been missed before the subscription
		"invalidate false [" + entity.String() + "]", "recheck false [" + entity.String() + "]",
		"invalidate true []", "recheck true []",
	}, steps); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
