package peer

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
)

// Mark begins a peer query and an announcement on a lane. No event begins with it.
const Mark = '?'

// channelPrefix begins the channel of a node, on which it receives the answers to its queries.
const channelPrefix = "rte:peer:"

// Query is a peer query about a repair or, if By is set, the announcement of an answer. It is published on the lane
// concerned.
type Query struct {
	// Node is the asking node, and Serial the number of its query.
	Node   string `json:"node"`
	Serial uint64 `json:"generation"`
	// Known is the Id of the last event that the asking node has. If it is empty, the node has none and asks for the
	// events Since a time of the server, as a stream id. Both are empty in an announcement.
	Known string `json:"known,omitempty"`
	Since string `json:"since,omitempty"`
	// By is the node that announces its answer.
	By string `json:"by,omitempty"`
}

func (q *Query) encode() []byte {
	text, err := json.Marshal(q)
	if err != nil {
		panic(err) // [unexpected] strings and a number
	}
	return append([]byte{Mark}, text...)
}

// part is the first line of a message with an answer, or with a part of one. Events follow, each after its length.
type part struct {
	Lane   string `json:"lane"`
	Serial uint64 `json:"generation"` // of the query
	By     string `json:"by"`
	// Number counts the parts of an answer from 0: a part may get lost.
	Number int  `json:"number,omitempty"`
	Last   bool `json:"last"`
	// Unknown denies an answer: the node does not know the missing events.
	Unknown bool `json:"unknown,omitempty"`
}

// Part is a part of an answer, as it arrived.
type Part struct {
	part
	data [][]byte // events
}

// parsePart reads a message on the channel of a node. It copies the events.
func parsePart(payload []byte) (p *Part, ok bool) {
	first, rest, ok := bytes.Cut(payload, []byte("\n"))
	p = &Part{}
	if !ok || json.Unmarshal(first, &p.part) != nil {
		return nil, false
	}
	rest = bytes.Clone(rest)
	for len(rest) >= 4 {
		size := binary.BigEndian.Uint32(rest)
		if rest = rest[4:]; uint64(size) > uint64(len(rest)) {
			return nil, false
		}
		p.data = append(p.data, rest[:size])
		rest = rest[size:]
	}
	return p, true
}

const (
	// partBytes is how many bytes of events one message of an answer has, and maxParts how many messages an answer has.
	partBytes = 256 << 10
	maxParts  = 64
)

// encodeAnswer splits an answer into messages. It returns nil for an answer that is too long.
func encodeAnswer(head part, data [][]byte) (parts [][]byte) {
	for {
		n, size := 0, 0
		for n < len(data) && (n == 0 || size+len(data[n]) < partBytes) {
			size += len(data[n])
			n++
		}
		head.Number, head.Last = len(parts), n == len(data)
		line, err := json.Marshal(head)
		if err != nil || len(parts) == maxParts {
			return nil
		}
		message := append(make([]byte, 0, len(line)+1+size+4*n), line...)
		message = append(message, '\n')
		for _, d := range data[:n] {
			message = binary.BigEndian.AppendUint32(message, uint32(len(d))) //nolint:gosec // below MaxMessage
			message = append(message, d...)
		}
		parts = append(parts, message)
		if data = data[n:]; head.Last {
			return parts
		}
	}
}
