package console

import (
	"context"
	"net/url"
)

// Identity is the answer of /api/whoami.
type Identity struct {
	Role string `json:"role"` // operator, reader or publisher
	Node string `json:"node"` // answering node
	// Token reports whether the port needs a token. If not, all programs of this machine are operators.
	Token bool `json:"token"`
	May   May  `json:"may"`
}

// May lists the rights of a role.
type May struct {
	Read       bool `json:"read"`       // metrics, lists, explanations, traces and taps without personal data
	Act        bool `json:"act"`        // disconnect, revoke, drain, shed, reload, log level
	Publish    bool `json:"publish"`    // POST /api/publish
	Quarantine bool `json:"quarantine"` // see refused messages
	FullData   bool `json:"fullData"`   // tap with data=full
	Profile    bool `json:"profile"`    // /debug/pprof
}

// whoamiPath is open to all roles.
const whoamiPath = "/api/whoami"

// whoami describes the role of the token of the request.
func (s *Server) whoami(ctx context.Context, query url.Values) (any, error) {
	if err := onlyKeys(query); err != nil {
		return nil, err
	}
	role := roleIn(ctx)
	operator := role == roleOperator
	return Identity{
		Role: string(role), Node: s.node, Token: *s.access.token.Load() != "",
		May: May{
			Read: operator || role == roleReader, Act: operator, Publish: operator || role == rolePublisher,
			Quarantine: operator, FullData: operator, Profile: operator,
		},
	}, nil
}
