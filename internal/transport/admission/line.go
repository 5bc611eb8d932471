package admission

import (
	"container/list"
	"slices"
)

// line is a queue of requests from which any one can leave. Its zero value is empty.
type line struct{ order list.List }

func (l *line) len() int { return l.order.Len() }

func (l *line) push(r *request) { r.line, r.place = l, l.order.PushBack(r) }

// first returns the request that came first; nil: there is none.
func (l *line) first() *request {
	front := l.order.Front()
	if front == nil {
		return nil
	}
	return front.Value.(*request) //nolint:forcetypeassert // push adds only requests
}

func (l *line) remove(r *request) {
	l.order.Remove(r.place)
	r.line, r.place = nil, nil
}

// decrement undoes the count of one of a key.
func decrement[K comparable](counts map[K]int, key K) {
	if counts[key]--; counts[key] <= 0 {
		delete(counts, key)
	}
}

// without returns turns without one line.
func without(turns []*line, l *line) []*line {
	i := slices.Index(turns, l)
	return slices.Delete(turns, i, i+1)
}
