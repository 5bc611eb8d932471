package transport

import (
	"fmt"
	"testing"

	"github.com/rte-server/rte-server/internal/events"
)

// A user who asked for connections that had ended took all the room there was, and nobody else's token could be refreshed.
func TestAsks_oneUserLeavesRoomForOthers(t *testing.T) {
	a, err := newAsks([]byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	one, other := organizationUser{user: events.ID{1}}, organizationUser{user: events.ID{2}}
	begun := 0
	for a.begin(fmt.Sprint(begun), &waitingAsk{user: one}) {
		begun++
	}
	if begun != maxUserAsks {
		t.Errorf("one user asks %d times at once, want %d", begun, maxUserAsks)
	}
	if !a.begin("other", &waitingAsk{user: other}) {
		t.Error("another user may not ask")
	}
	a.end("0")
	if !a.begin("again", &waitingAsk{user: one}) {
		t.Error("a user may not ask after an answer")
	}
	a.end("again")
	a.end("other")
	for n := 1; n < begun; n++ {
		a.end(fmt.Sprint(n))
	}
	if len(a.waiting)+len(a.users) > 0 {
		t.Errorf("%d requests of %d users are left", len(a.waiting), len(a.users))
	}
}
