package authz

// verdict is what decided about a request. Clients see its refusal, operators the whole.
type verdict uint8

const (
	verdictAllowed verdict = iota
	verdictEntityInvalid
	verdictEventUnknown
	verdictWrongKind
	verdictEntityUnknown
	verdictEntityForeign
	verdictPolicy
	verdictUnavailable
	numVerdicts
)

// verdicts are the metric label of each verdict and what a client is told. Entities that do not exist, are not of the
// caller's organizations or are closed to the caller by the policy look alike.
var verdicts = [numVerdicts]struct{ label, refusal string }{
	verdictAllowed:       {"allowed", ""},
	verdictEntityInvalid: {"invalid_entity", RefusedEntity},
	verdictEventUnknown:  {"unknown_event", RefusedEvent},
	verdictWrongKind:     {"wrong_kind", RefusedKind},
	verdictEntityUnknown: {"unknown_entity", RefusedUnauthorized},
	verdictEntityForeign: {"foreign_entity", RefusedUnauthorized},
	verdictPolicy:        {"policy", RefusedUnauthorized},
	verdictUnavailable:   {"unavailable", RefusedUnavailable},
}
