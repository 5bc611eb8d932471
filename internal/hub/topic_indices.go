package hub

import (
	"sync"

	"github.com/rte-server/rte-server/internal/events"
)

// keptIndices is how many topics a map may have had for its memory to be kept.
const keptIndices = 256

// topicIndices are maps for calls to work with, cleared: one for 20 topics has 3 KB.
type topicIndices struct{ pool sync.Pool }

func (t *topicIndices) get() map[events.Topic]int {
	if indices, ok := t.pool.Get().(map[events.Topic]int); ok {
		return indices
	}
	return map[events.Topic]int{}
}

// put takes a map back that get has given.
func (t *topicIndices) put(indices map[events.Topic]int) {
	if len(indices) <= keptIndices {
		clear(indices)
		t.pool.Put(indices)
	}
}
