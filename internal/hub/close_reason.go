package hub

// CloseReason is the reason why the server ends a session. It decides what the client receives.
type CloseReason uint8

// The reasons for the end of a session.
const (
	// CloseGone: the socket ended by itself. The client receives nothing.
	CloseGone CloseReason = iota
	// CloseByClient: the client sent a SignalR Close message. It is answered by one.
	CloseByClient
	// CloseByPeer: the client sent a WebSocket Close frame. It is answered by one, without a SignalR message.
	CloseByPeer
	// CloseProtocolError: the client sent something malformed or too large.
	CloseProtocolError
	// CloseSlow: the client did not read fast enough.
	CloseSlow
	// CloseSilent: the client sent nothing for longer than the client timeout.
	CloseSilent
	// CloseDrain: this node stops. The client should connect again, to another one.
	CloseDrain
	// CloseHandshake: the handshake failed or took too long. Its answer has given the reason.
	CloseHandshake
	// CloseRevoked: the token of the session was revoked. The client must not come back with it.
	CloseRevoked
	// CloseByOperator: an operator ended the connection. The client may come back.
	CloseByOperator
	// CloseExpired: the token of the session has expired. The client should connect again, with a new one.
	CloseExpired
	// CloseResync: events are missing. The client should connect again and fetch what it shows.
	CloseResync
	// CloseShed: this node has more connections than others. The client should connect again, to another one.
	CloseShed
	// CloseDuplicate: another node had accepted the connection token before.
	CloseDuplicate
	numCloseReasons
)

// CloseReasons returns all reasons.
func CloseReasons() []CloseReason {
	all := make([]CloseReason, numCloseReasons)
	for r := range numCloseReasons {
		all[r] = r
	}
	return all
}

// String returns the reason as a metric label.
func (r CloseReason) String() string {
	return [numCloseReasons]string{
		"gone", "client", "peer", "protocol_error", "slow", "silent", "drain", "handshake",
		"revoked", "operator", "expired", "resync", "shed", "duplicate",
	}[r]
}

// errorText is the text of ASP.NET Core for reasons that it does not explain to clients.
const errorText = "Connection closed with an error."

// Message returns the SignalR Close message that goes with the reason. ok is false if none is sent.
func (r CloseReason) Message() (text string, allowReconnect, ok bool) {
	switch r {
	case CloseByClient:
		return "", false, true
	case CloseProtocolError, CloseSlow, CloseSilent:
		return errorText, true, true
	case CloseDrain, CloseShed, CloseByOperator, CloseExpired, CloseResync:
		return "", true, true
	case CloseRevoked, CloseDuplicate:
		return errorText, false, true
	default:
		return "", false, false
	}
}
