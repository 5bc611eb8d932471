// Package ingest is how events reach those peers that are built here: a stream of batches over TCP, each answered by
// one byte when the peer has taken it. It costs next to nothing and slows the publisher down like an HTTP request does.
//
// A batch is the number of events, then per event the length of the channel, the channel, the length of the payload,
// the payload. All numbers are uint32, little endian.
package ingest

import "encoding/binary"

// Event is one event for a peer.
type Event struct {
	Channel []byte // where peers have channels or groups
	Payload []byte
}

// Taken is the answer to a batch.
const Taken = 1

// Append adds a batch to dst.
func Append(dst []byte, events []Event) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(events))) //nolint:gosec // batches are small
	for _, ev := range events {
		dst = appendPart(dst, ev.Channel)
		dst = appendPart(dst, ev.Payload)
	}
	return dst
}

// Cut takes the first batch off data; false if it is not complete yet. The events point into data and are added
// to dst, which may be nil.
func Cut(dst []Event, data []byte) (events []Event, rest []byte, ok bool) {
	if len(data) < 4 {
		return nil, data, false
	}
	count := binary.LittleEndian.Uint32(data)
	rest = data[4:]
	for range count {
		var ev Event
		if ev.Channel, rest, ok = cutPart(rest); !ok {
			return nil, data, false
		}
		if ev.Payload, rest, ok = cutPart(rest); !ok {
			return nil, data, false
		}
		dst = append(dst, ev)
	}
	return dst, rest, true
}

func appendPart(dst, part []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(part))) //nolint:gosec // events are small
	return append(dst, part...)
}

func cutPart(data []byte) (part, rest []byte, ok bool) {
	if len(data) < 4 {
		return nil, data, false
	}
	size := binary.LittleEndian.Uint32(data)
	if data = data[4:]; uint64(len(data)) < uint64(size) {
		return nil, data, false
	}
	return data[:size], data[size:], true
}
