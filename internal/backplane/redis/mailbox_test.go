package redis

import (
	"testing"

	"github.com/rte-server/rte-server/internal/backplane/sequence"
)

// A lane that nobody worked on got a notice for each message that was given up, without a bound.
func TestMailbox_overflowsAreOneNotice(t *testing.T) {
	var m mailbox
	overflow := func(n int) {
		for range n {
			m.overflow(&overflowed{sequence.Break{Plain: 1}})
		}
	}
	overflow(1000)
	m.put(item{notice: left{}}, 0)
	overflow(10)
	taken, bytes := m.take()
	if len(taken) != 3 || bytes != 3*itemCost {
		t.Fatalf("%d notices of %d bytes, want 3", len(taken), bytes)
	}
	for i, want := range map[int]int{0: 1000, 2: 10} {
		if got := taken[i].notice.(*overflowed).lapse.Plain; got != want {
			t.Errorf("notice %d is about %d messages, want %d", i, got, want)
		}
	}
	overflow(1) // the worker has those before
	if again, _ := m.take(); len(again) != 1 || taken[2].notice.(*overflowed).lapse.Plain != 10 {
		t.Errorf("%d notices, want another", len(again))
	}
}
