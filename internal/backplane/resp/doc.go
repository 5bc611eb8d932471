// Package resp reads and writes the Redis protocol (RESP2): replies of a subscribed connection (Reader), commands of
// clients (CommandReader), and the text of commands and replies (Append...).
//
// It is a leaf: it imports none of our packages and opens no connection. Every size that the peer announces has a
// bound; a peer that exceeds a bound or violates the protocol causes an error that wraps ErrProtocol.
package resp

import "errors"

// ErrProtocol is wrapped by the errors about bytes that violate the protocol, or that the reader does not expect.
var ErrProtocol = errors.New("protocol error")

// maxLine bounds the lines of the protocol: sizes, numbers, error texts, and commands that a person types.
const maxLine = 64 << 10
