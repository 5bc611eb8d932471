// Package ingest is the protocol by which events reach the peers that are built here: batches over TCP. The peer
// answers each batch with one byte once it has taken it, which slows the publisher down as an HTTP request would, at
// almost no cost.
//
// A batch is the number of events, then for each event the length of the channel, the channel, the length of the
// payload and the payload. All numbers are uint32, little endian.
package ingest

import "encoding/binary"

// Event is one event for a peer.
type Event struct {
	Channel []byte // for peers with channels or groups
	Payload []byte
}

// Taken is the answer to a batch.
const Taken = 1

// Append appends a batch to dst.
func Append(dst []byte, events []Event) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(events))) //nolint:gosec // batches are small
	for _, ev := range events {
		dst = appendPart(dst, ev.Channel)
		dst = appendPart(dst, ev.Payload)
	}
	return dst
}

// Cut removes the first batch from data and appends its events to dst, which may be nil. ok is false if the batch is
// not complete yet. The events point into data.
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
