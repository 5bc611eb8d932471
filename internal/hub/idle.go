package hub

import (
	"sync"
	"time"
)

// idleAge is the age in seconds from which a session without subscriptions counts as idle: a new one has not had the
// time to subscribe.
const idleAge = 5

// idle counts sessions without subscriptions, and separately those that were opened in the last seconds. So a metric
// costs the same however many sessions there are.
type idle struct {
	mu    sync.Mutex // guards the following fields
	all   int
	young [idleAge + 1]struct {
		second uint32 // since the hub was made
		count  int    // of the sessions without subscriptions that were opened in this second
	} // by second modulo length
}

// add adds a session without subscriptions that was opened in a second.
func (n *idle) add(opened uint32) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all++
	y := &n.young[opened%uint32(len(n.young))]
	if y.second < opened {
		y.second, y.count = opened, 0
	}
	if y.second == opened {
		y.count++
	}
}

// remove removes a session that was added.
func (n *idle) remove(opened uint32) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all--
	if y := &n.young[opened%uint32(len(n.young))]; y.second == opened && y.count > 0 {
		y.count--
	}
}

// old returns the number of sessions without subscriptions that were opened idleAge seconds ago or earlier.
func (n *idle) old(now uint32) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	count := n.all
	for i := range n.young {
		if y := &n.young[i]; now-y.second < idleAge {
			count -= y.count
		}
	}
	return count
}

// second returns the present second since the hub was made.
func (h *Hub) second() uint32 { return uint32(time.Since(h.made) / time.Second) } //nolint:gosec // 136 years

// setActiveLocked changes the subscriptions of the session. It needs mu.
func (s *Session) setActiveLocked(a active) {
	switch before := len(s.active) == 0; {
	case before && len(a) > 0:
		s.hub.idle.remove(s.opened)
	case !before && len(a) == 0:
		s.hub.idle.add(s.opened)
	}
	s.active = a
}
