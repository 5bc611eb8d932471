package events

// Topic is what can be listened to: one event type of one entity of one organization.
// It is comparable and small enough to be a map key.
type Topic struct {
	Organization ID
	Entity       ID
	Type         Type
}
