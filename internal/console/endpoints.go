package console

import (
	"github.com/rte-server/rte-server/internal/authz/token"
	"github.com/rte-server/rte-server/internal/events"
)

// endpoint describes a path of the operator port for OpenAPI.
type endpoint struct {
	method, path, summary string
	parameters            string // names of the parameters, with * behind a required one
	body                  any    // nil: no body
	answer                any    // a mediaType: another type than JSON
}

// mediaType is the type of an answer that is not JSON.
type mediaType string

const (
	plainText   mediaType = "text/plain"
	binaryData  mediaType = "application/octet-stream"
	eventStream mediaType = "text/event-stream"
)

// Reloaded is the answer of /api/reload: the keys with new values in force, and the changed keys that need a restart.
type Reloaded struct {
	Applied []string `json:"applied"`
	Restart []string `json:"restart"`
}

// Published is the answer of /api/publish.
type Published struct {
	Published int                `json:"published"`
	Refused   int                `json:"refused"`
	Refusals  []PublishedRefusal `json:"refusals,omitempty"`
	Error     string             `json:"error,omitempty"` // why the request stopped early
	Line      int                `json:"line,omitempty"`  // where a retry continues
	Done      []int              `json:"done,omitempty"`
}

// PublishedRefusal is one refused event of /api/publish.
type PublishedRefusal struct {
	Line   int    `json:"line"`
	Error  string `json:"error"`
	Detail string `json:"detail,omitempty"`
}

// alive is the answer of /healthz.
type alive struct {
	State string `json:"state"`
}

// endpoints are the paths of the operator API.
var endpoints = []endpoint{
	{"GET", "/api/events/{id}", "Follow one event through all nodes", "user entity event organization", nil, EventTrace{}},
	{"GET", "/api/events", "List events of all nodes", "user entity event organization since limit", nil, EventList{}},
	{"POST", "/api/events/dry-run", "Find out who would receive an event", "user", map[string]any{}, DryRun{}},
	{
		"GET", "/api/connections", "List connections",
		"user organization address client protocol slow order limit after nodes", nil,
		ConnectionList{},
	},
	{"GET", "/api/connections/{id}", "Describe a connection of any node", "offset limit", nil, ConnectionDetail{}},
	{"GET", "/api/topics", "List topics", "organization entity event order limit nodes", nil, TopicList{}},
	{
		"GET", "/api/explain", "Explain an authorization decision", "user entity event role organization trace nodes", nil,
		Explanation{},
	},
	{"POST", "/api/disconnect", "End connections", "connection user nodes", nil, disconnected{}},
	{"POST", "/api/revoke", "Revoke tokens", "", token.Revocation{}, revoked{}},
	{"GET", "/api/revocations", "List revocations", "user jti limit", nil, RevocationList{}},
	{"DELETE", "/api/revocations", "End revocations", "user jti", nil, Undone{}},
	{"GET", "/api/nodes", "List nodes", "", nil, NodeList{}},
	{"GET", "/api/drain", "Show the closing of connections", "node", nil, Departure{}},
	{"POST", "/api/drain", "Close all connections", "over node", nil, Departure{}},
	{"DELETE", "/api/drain", "End a drain", "node", nil, Departure{}},
	{"GET", "/api/shed", "Show the closing of connections", "node", nil, Departure{}},
	{"POST", "/api/shed", "Close a number of connections", "connections* over node", nil, Departure{}},
	{"DELETE", "/api/shed", "End a shed", "node", nil, Departure{}},
	{"GET", "/api/overview", "Show the state of nodes", "nodes", nil, Overview{}},
	{
		"GET", "/api/organizations", "List the organizations that use most", "organization order limit nodes", nil,
		OrganizationList{},
	},
	{"GET", tapPath, "Watch events live", "organization entity event connection user nodes sample data", nil, eventStream},
	{"GET", whoamiPath, "Show what the token allows", "", nil, Identity{}},
	{"GET", "/api/log-level", "Show the level of the log of a node", "node", nil, LogLevel{}},
	{"POST", "/api/log-level", "Change the level of the log of a node", "level* node", nil, LogLevel{}},
	{"GET", "/api/quarantine", "List faulty messages of publishers", "", nil, []events.Quarantined{}},
	{"POST", "/api/reload", "Read the configuration again", "node", nil, Reloaded{}},
	{"POST", publishPath, "Publish events", "", anyEvents{}, Published{}},
	{"GET", "/healthz", "Report that the process runs", "", nil, alive{}},
	{"GET", "/readyz", "Report whether the node wants connections", "", nil, Report{}},
	{"GET", "/", "List the paths", "", nil, plainText},
	{"GET", "/metrics", "Metrics of the node for Prometheus", "", nil, plainText},
	{"GET", "/metrics/organizations", "Metrics of the organizations that use the node most", "", nil, plainText},
	{"GET", "/debug/pprof/", "List profiles", "", nil, plainText},
	{"GET", "/debug/pprof/cmdline", "Show the command line", "", nil, plainText},
	{"GET", "/debug/pprof/profile", "Profile the processor", "seconds", nil, binaryData},
	{"GET", "/debug/pprof/symbol", "Look up addresses", "", nil, plainText},
	{"POST", "/debug/pprof/symbol", "Look up addresses", "", nil, plainText},
	{"GET", "/debug/pprof/trace", "Trace the execution", "seconds", nil, binaryData},
}

// anyEvents is the body of /api/publish: one event for each line, an array of events, or one event.
type anyEvents struct{}
