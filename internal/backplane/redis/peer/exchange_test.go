package peer

import (
	"strconv"
	"testing"
)

// Answers were bounded by their number only, and each may have 16 MB. Then one lane could take the room of all others.
func TestExchange_answersAreBoundedInBytes(t *testing.T) {
	x := NewExchange(Options{})
	offer := func(lane string) {
		x.offer(&answer{lane: lane, parts: [][]byte{make([]byte, partBytes), make([]byte, partBytes)}})
	}
	const room = maxAnswerBytes / (2 * partBytes)
	for range room {
		offer("a")
	}
	if len(x.answers) != room/4 {
		t.Fatalf("%d answers of a lane are queued, want %d", len(x.answers), room/4)
	}
	for lane := range 5 * room / 4 {
		offer(strconv.Itoa(lane % 5))
	}
	if len(x.answers) != room || x.bytes != maxAnswerBytes {
		t.Fatalf("%d answers of %d bytes are queued, want %d", len(x.answers), x.bytes, room)
	}
	x.announced("a", Query{})
	if left := room - room/4; len(x.answers) != left || x.bytes != left*2*partBytes {
		t.Errorf("%d answers of %d bytes are queued, want %d", len(x.answers), x.bytes, left)
	}
}
