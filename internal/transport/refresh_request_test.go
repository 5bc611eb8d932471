package transport

import (
	"fmt"
	"testing"

	"github.com/rte-server/rte-server/internal/events"
)

// One user who sent refresh requests for ended connections took all the room. No other token could be refreshed.
func TestRefreshRequests_oneUserLeavesRoomForOthers(t *testing.T) {
	requests := newRefreshRequests()
	one, other := organizationUser{user: events.ID{1}}, organizationUser{user: events.ID{2}}
	begun := 0
	for requests.begin(fmt.Sprint(begun), &waitingRequest{user: one}) {
		begun++
	}
	if begun != maxUserRequests {
		t.Errorf("one user has %d requests at once, want %d", begun, maxUserRequests)
	}
	if !requests.begin("other", &waitingRequest{user: other}) {
		t.Error("the request of another user is refused")
	}
	requests.end("0")
	if !requests.begin("again", &waitingRequest{user: one}) {
		t.Error("a request is refused after an answer")
	}
	requests.end("again")
	requests.end("other")
	for n := 1; n < begun; n++ {
		requests.end(fmt.Sprint(n))
	}
	if len(requests.waiting)+len(requests.users) > 0 {
		t.Errorf("%d requests of %d users are left", len(requests.waiting), len(requests.users))
	}
}
