package events

// Topic is what clients subscribe to: one event type of one entity of one organization. It is comparable and small
// enough for a map key.
type Topic struct {
	Organization ID
	Entity       ID
	Type         Type
}
