package authz

// reason is the reason of a decision. Clients see only its refusal; operators see its label too.
type reason uint8

const (
	reasonAllowed reason = iota
	reasonEntityInvalid
	reasonEventUnknown
	reasonWrongKind
	reasonEntityUnknown
	reasonEntityForeign
	reasonPolicy
	reasonUnavailable
	numReasons
)

// reasons has the metric label of each reason and the refusal that a client receives. An entity that does not exist,
// one of another organization and one that the policy closes to the caller look alike.
var reasons = [numReasons]struct{ label, refusal string }{
	reasonAllowed:       {"allowed", ""},
	reasonEntityInvalid: {"invalid_entity", RefusedEntity},
	reasonEventUnknown:  {"unknown_event", RefusedEvent},
	reasonWrongKind:     {"wrong_kind", RefusedKind},
	reasonEntityUnknown: {"unknown_entity", RefusedUnauthorized},
	reasonEntityForeign: {"foreign_entity", RefusedUnauthorized},
	reasonPolicy:        {"policy", RefusedUnauthorized},
	reasonUnavailable:   {"unavailable", RefusedUnavailable},
}
