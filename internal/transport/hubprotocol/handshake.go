package hubprotocol

import (
	"bytes"

	"github.com/rte-server/rte-server/internal/msgpack"
	"github.com/rte-server/rte-server/internal/transport/websocket"
)

// Handshake is the first message of a client, which is JSON in every protocol (section 1.5).
type Handshake struct {
	Protocol string
	Version  int64
}

// IsSequence reports whether the first bytes on a socket are a Sequence message of either protocol instead of a
// handshake: the client believes that its connection lives here.
func IsSequence(p []byte) bool {
	return bytes.HasPrefix(p, []byte(`{"type":9`)) ||
		len(p) > 2 && p[1] == msgpack.FixArray|2 && p[2] == byte(TypeSequence)
}

// ParseHandshake reads a handshake with its record separator. Both properties are required, unknown ones are skipped.
// The error is ErrMalformed.
func ParseHandshake(message []byte) (Handshake, error) {
	var (
		handshake               Handshake
		hasProtocol, hasVersion bool
	)
	err := readObject(message[:len(message)-1], func(name, value []byte) error {
		ok := true
		switch string(name) {
		case "protocol":
			handshake.Protocol, hasProtocol = unquote(value)
			ok = hasProtocol
		case "version":
			handshake.Version, hasVersion = parseInt(value)
			ok = hasVersion
		}
		if !ok {
			return ErrMalformed
		}
		return nil
	})
	if err != nil || !hasProtocol || !hasVersion {
		return Handshake{}, ErrMalformed
	}
	return handshake, nil
}

// FailedHandshake returns the answer to a failed handshake (1.5) and, behind it, a Close frame. The answer is a text
// frame even for MessagePack (W3).
func FailedHandshake(text string) []byte {
	message := AppendJSONString(append(websocket.NewBuffer(128), `{"error":`...), text)
	frame := websocket.Seal(websocket.OpText, append(message, '}', RecordSeparator))
	return websocket.AppendClose(frame, websocket.StatusNormal)
}
