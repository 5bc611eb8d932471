package subscriptions

import (
	"sync"

	"github.com/rte-server/rte-server/internal/events"
)

// organization holds a value of the registry's owner for one organization while its topics are in use.
// All its entries share it.
type organization[O any] struct {
	value O
	id    events.ID
	refs  int // guarded by organizations.mu
}

// organizations indexes the organizations of a registry's entries.
type organizations[O any] struct {
	start func(events.ID) O

	mu   sync.Mutex // guards the following field and organization.refs
	byID map[events.ID]*organization[O]
}

func (all *organizations[O]) acquire(id events.ID) *organization[O] {
	all.mu.Lock()
	defer all.mu.Unlock()
	o := all.byID[id]
	if o == nil {
		o = &organization[O]{value: all.start(id), id: id}
		all.byID[id] = o
	}
	o.refs++
	return o
}

func (all *organizations[O]) release(o *organization[O]) {
	all.mu.Lock()
	defer all.mu.Unlock()
	o.refs--
	if o.refs == 0 {
		delete(all.byID, o.id)
	}
}
