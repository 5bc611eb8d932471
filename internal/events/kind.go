package events

// Kind is the kind of an entity.
type Kind uint8

// The kinds of entities that have events. The zero value stands for an unknown entity.
const (
	KindUnknown Kind = iota
	KindUser
	KindQueue
	KindCallList
)

// String returns the name of the kind as published in EntityType.
func (k Kind) String() string {
	switch k {
	case KindUser:
		return "User"
	case KindQueue:
		return "Queue"
	case KindCallList:
		return "CallList"
	default:
		return "Unknown"
	}
}

// ParseKind reads the name of a kind as published in EntityType.
func ParseKind(name string) (Kind, bool) {
	for _, k := range [...]Kind{KindUser, KindQueue, KindCallList} {
		if name == k.String() {
			return k, true
		}
	}
	return KindUnknown, false
}
