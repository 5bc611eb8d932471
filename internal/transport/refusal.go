package transport

import "net/http"

// requestKind is the purpose of a request, as a metric label.
type requestKind uint8

const (
	requestHub requestKind = iota
	requestNegotiate
	requestRefresh
	numRequestKinds
)

func (k requestKind) String() string {
	return [numRequestKinds]string{"hub", "negotiate", "refresh"}[k]
}

// refusal is the reason why a request was refused.
type refusal uint8

const (
	refusedToken refusal = iota
	refusedTwoTokens
	refusedKeys
	refusedMethod
	refusedVersion
	refusedNoID
	refusedUnknownID
	refusedIDInUse
	refusedPost
	refusedDelete
	refusedEventStream
	refusedLongPolling
	refusedBadUpgrade
	refusedUpgradeVersion
	refusedDraining
	refusedFull
	refusedQuota
	refusedOtherUser
	refusedForward
	refusedVersion0
	refusedDisabled
	refusedUserQuota
	refusedAddressQuota
	refusedHold
	refusedRate
	refusedCrowded
	refusedCrowdedOrganization
	refusedCrowdedUser
	refusedCrowdedAddress
	refusedMemory
	refusedGone
	refusedEncoding
	refusedDescriptors
	refusedWebSockets
	refusedTransport
	refusedRefreshRequired
	refusedEarlyPost
	refusedPostSize
	refusedPosts
	refusedRelayFull
	refusedTakeovers
	numRefusals
)

// refusals are the answers: the rows of 1.3, and those of a node that drains or is full.
var refusals = [numRefusals]struct {
	label  string // of the metric
	status int
	text   string
}{
	refusedToken:     {"token", http.StatusUnauthorized, ""},
	refusedTwoTokens: {"two_tokens", http.StatusBadRequest, ""},
	refusedKeys:      {"keys_unavailable", http.StatusServiceUnavailable, ""}, // the token may be good
	refusedMethod:    {"method", http.StatusMethodNotAllowed, ""},
	refusedVersion:   {"version", http.StatusOK, ""}, // the body is JSON (N9)
	refusedNoID:      {"no_id", http.StatusBadRequest, "Connection ID required"},
	refusedUnknownID: {"unknown_id", http.StatusNotFound, "No Connection with that ID"},
	refusedIDInUse:   {"id_in_use", http.StatusConflict, ""},
	refusedPost: {
		"post", http.StatusMethodNotAllowed, "POST requests are not allowed for WebSocket connections.",
	},
	refusedDelete: {
		"delete", http.StatusBadRequest, "Cannot terminate this connection using the DELETE endpoint.",
	},
	refusedEventStream: {
		"server_sent_events", http.StatusNotFound,
		"ServerSentEvents transport not supported by this end point type",
	},
	refusedLongPolling: {
		"long_polling", http.StatusNotFound, "LongPolling transport not supported by this end point type",
	},
	refusedBadUpgrade:     {"bad_upgrade", http.StatusBadRequest, "The WebSocket upgrade is malformed."},
	refusedUpgradeVersion: {"upgrade_version", http.StatusUpgradeRequired, ""},
	refusedDraining:       {"draining", http.StatusServiceUnavailable, "This node is stopping."},
	refusedFull:           {"full", http.StatusServiceUnavailable, "This node has no room for another connection."},
	refusedQuota: {
		"quota", http.StatusServiceUnavailable, "This organization has no room for another connection on this node.",
	},
	refusedUserQuota: {
		"user_quota", http.StatusServiceUnavailable, "This user has no room for another connection on this node.",
	},
	refusedAddressQuota: {
		"address_quota", http.StatusServiceUnavailable, "This address has no room for another connection on this node.",
	},
	refusedHold: {
		"backoff", http.StatusServiceUnavailable, "This user connects and fails too often.",
	},
	refusedEncoding: {
		"transfer_encoding", http.StatusBadRequest, "Requests with a Transfer-Encoding are not accepted.",
	},
	// Counted as requests to the hub: nothing is read of them.
	refusedDescriptors: {
		"descriptors", http.StatusServiceUnavailable, "This node has no file descriptor for another connection.",
	},
	refusedRate: {
		"admission_rate", http.StatusServiceUnavailable, "This node let too few clients in in time.",
	},
	refusedCrowded: {
		"admission_queue", http.StatusServiceUnavailable, "Too many clients wait to connect to this node.",
	},
	refusedCrowdedOrganization: {
		"admission_organization", http.StatusServiceUnavailable, "Too many clients of this organization wait to connect.",
	},
	refusedCrowdedUser: {
		"admission_user", http.StatusServiceUnavailable, "Too many clients of this user wait to connect.",
	},
	refusedCrowdedAddress: {
		"admission_address", http.StatusServiceUnavailable, "Too many clients of this address wait to connect.",
	},
	refusedMemory: {
		"memory", http.StatusServiceUnavailable, "This node has no memory for another connection.",
	},
	refusedGone: {"gone", http.StatusServiceUnavailable, ""}, // the client has given up while it waited

	refusedRelayFull: {"relay_full", http.StatusNotFound, "No Connection with that ID"}, // a new connection is possible
	refusedTakeovers: {"takeovers", http.StatusNotFound, "No Connection with that ID"},  // as above

	refusedOtherUser: {
		"other_user", http.StatusForbidden, "The user associated with this connection changed.",
	},
	refusedForward:  {"forward", http.StatusServiceUnavailable, ""},
	refusedVersion0: {"negotiate_version", http.StatusBadRequest, ""},
	refusedDisabled: {"disabled", http.StatusNotFound, ""},

	refusedWebSockets: {
		"web_sockets", http.StatusNotFound, "WebSockets transport not supported by this end point type",
	},
	refusedTransport: {"transport", http.StatusBadRequest, "Cannot change transports mid-connection"},
	// The body is JSON, as that of a refused refresh.
	refusedRefreshRequired: {"refresh_required", http.StatusConflict, ""},
	refusedEarlyPost:       {"early_post", http.StatusBadRequest, ""},
	refusedPostSize:        {"post_size", http.StatusRequestEntityTooLarge, ""},
	refusedPosts:           {"posts", http.StatusServiceUnavailable, "Too many requests of this connection wait."},
}
