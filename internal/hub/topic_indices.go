package hub

import (
	"sync"

	"github.com/rte-server/rte-server/internal/events"
)

// keptIndices is the largest number of topics in a map that is kept for the next call.
const keptIndices = 256

// topicIndices keeps empty maps from topics to indices for calls to work with: one for 20 topics takes 3 KB.
type topicIndices struct{ pool sync.Pool }

func (t *topicIndices) get() map[events.Topic]int {
	if indices, ok := t.pool.Get().(map[events.Topic]int); ok {
		return indices
	}
	return map[events.Topic]int{}
}

// put takes back a map that get returned.
func (t *topicIndices) put(indices map[events.Topic]int) {
	if len(indices) <= keptIndices {
		clear(indices)
		t.pool.Put(indices)
	}
}
