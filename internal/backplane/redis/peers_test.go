package redis

import "testing"

// Answers were bounded by their number, and each may have 16 MB.
func TestPeers_answersAreBoundedInBytes(t *testing.T) {
	p := newPeers(nil)
	offer := func(lane string) {
		p.offer(&answer{lane: lane, parts: [][]byte{make([]byte, peerPart), make([]byte, peerPart)}})
	}
	const room = peerMemory / (2 * peerPart)
	for range room {
		offer("a")
	}
	offer("b")
	if len(p.answers) != room || p.bytes != peerMemory {
		t.Fatalf("%d answers of %d bytes wait, want %d", len(p.answers), p.bytes, room)
	}
	p.announced("a", question{})
	offer("b")
	if len(p.answers) != 1 || p.bytes != 2*peerPart {
		t.Errorf("%d answers of %d bytes wait, want 1", len(p.answers), p.bytes)
	}
}
