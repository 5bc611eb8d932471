package peer

import "testing"

// Answers were bounded by their number only, and each may have 16 MB.
func TestExchange_answersAreBoundedInBytes(t *testing.T) {
	x := NewExchange(Options{})
	offer := func(lane string) {
		x.offer(&answer{lane: lane, parts: [][]byte{make([]byte, partBytes), make([]byte, partBytes)}})
	}
	const room = maxAnswerBytes / (2 * partBytes)
	for range room {
		offer("a")
	}
	offer("b")
	if len(x.answers) != room || x.bytes != maxAnswerBytes {
		t.Fatalf("%d answers of %d bytes are queued, want %d", len(x.answers), x.bytes, room)
	}
	x.announced("a", Query{})
	offer("b")
	if len(x.answers) != 1 || x.bytes != 2*partBytes {
		t.Errorf("%d answers of %d bytes are queued, want 1", len(x.answers), x.bytes)
	}
}
