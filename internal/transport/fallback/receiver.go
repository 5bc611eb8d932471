package fallback

import (
	"context"
	"time"
)

// Receiver is a request that fetches the waiting messages. One goroutine may use it.
type Receiver struct {
	link  *Link
	again chan struct{} // has an element after a change
}

// Outcome is how a wait of a Receiver ended.
type Outcome uint8

// The outcomes of Receiver.Next.
const (
	// Messages: there are messages.
	Messages Outcome = iota
	// Late: no message came in time.
	Late
	// Replaced: another request has taken over.
	Replaced
	// Over: the connection has ended, and no message waits.
	Over
	// Gone: the client has given the request up.
	Gone
)

// String returns the outcome as a metric label.
func (o Outcome) String() string {
	return [...]string{"messages", "late", "replaced", "over", "gone"}[o]
}

// Outcomes returns all outcomes.
func Outcomes() []Outcome { return []Outcome{Messages, Late, Replaced, Over, Gone} }

// Receive returns a Receiver, which takes over from the previous one. The caller must call Leave.
func (l *Link) Receive() *Receiver {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := &Receiver{link: l, again: make(chan struct{}, 1)}
	before := l.receiver
	l.receiver = r
	if before != nil {
		before.notify()
	}
	return r
}

// Leave ends the request.
func (r *Receiver) Leave() {
	l := r.link
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.receiver == r {
		l.receiver = nil
		l.left = time.Now()
	}
}

// notify makes Next look again. It does not wait.
func (r *Receiver) notify() {
	select {
	case r.again <- struct{}{}:
	default:
	}
}

// Next waits for messages, up to a timeout; 0: without one. The caller owns them.
func (r *Receiver) Next(ctx context.Context, timeout time.Duration) ([]byte, Outcome) {
	var late <-chan time.Time
	if timeout > 0 {
		timer := time.NewTimer(timeout)
		defer timer.Stop()
		late = timer.C
	}
	for {
		if messages, outcome, ok := r.take(); ok {
			return messages, outcome
		}
		select {
		case <-r.again:
		case <-late:
			return nil, Late
		case <-ctx.Done():
			return nil, Gone
		}
	}
}

// take returns the complete messages that wait, or the outcome of the wait. ok is false if it goes on.
func (r *Receiver) take() (messages []byte, outcome Outcome, ok bool) {
	l := r.link
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.receiver != r:
		return nil, Replaced, true
	case l.whole > 0:
		messages, l.out = l.out[:l.whole:l.whole], append([]byte(nil), l.out[l.whole:]...)
		l.whole = 0
		l.makeRoomLocked()
		return messages, Messages, true
	case l.unframer.closed || l.finished || l.closed:
		return nil, Over, true
	}
	return nil, 0, false
}
