package hubprotocol

import "reflect"

// List is the result of a hub method whose elements are made one by one while they are encoded, so that a large result
// is never in memory beside its frame. hub.Completion has such results.
type List interface {
	Len() int
	// At returns the element at index i, of a type that Completion.Result may have.
	At(i int) any
}

// slice is a slice as a List.
type slice struct{ reflect.Value }

func (s slice) At(i int) any { return s.Index(i).Addr().Interface() }

// listOf returns value as a List, if it is one or a slice.
func listOf(value any) (list List, ok bool) {
	if list, ok = value.(List); ok {
		return list, true
	}
	v := reflect.ValueOf(value)
	return slice{v}, v.Kind() == reflect.Slice && !v.IsNil()
}
