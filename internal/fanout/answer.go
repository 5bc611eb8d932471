package fanout

import "context"

// Answer is the answer to a call of the client. An outbox has one at a time: the session runs the next call once the
// socket has taken it, see Outbox.AwaitAnswer. So a client that asks for much is slowed down, and only events that it
// does not read make it slow.
type Answer struct {
	frame   []byte        // nil: the client wants none
	written func()        // called once; nil: nothing is called
	done    chan struct{} // closed when the socket has taken the frame, or never will

	place answerPlace // owned by the shard
}

// answerPlace is where the frame of an Answer is.
type answerPlace uint8

const (
	// In the inbox of the shard, with its Change.
	_ answerPlace = iota
	// answerCollected: in Outbox.buf, or in the write that is being made.
	answerCollected
	// answerWaits: in Outbox.waiting, behind a full socket.
	answerWaits
	// answerInFlight: in the hands of the goroutine that writes to a full socket.
	answerInFlight
)

// NewAnswer returns an Answer with a frame, nil for none. The shard calls written, if it is not nil, once the socket
// has taken the frame or never will; it must not block.
func NewAnswer(frame []byte, written func()) *Answer {
	return &Answer{frame: frame, written: written, done: make(chan struct{})}
}

// Answered reports whether AwaitAnswer would return at once.
func (o *Outbox) Answered() bool { return o.answer.Load() == nil }

// AwaitAnswer waits until the socket has taken the answer of the latest Change, or never will. It returns the error of
// ctx if that ends first, and ErrEnded if the dispatcher stops.
func (o *Outbox) AwaitAnswer(ctx context.Context) error {
	a := o.answer.Load()
	if a == nil {
		return nil
	}
	select {
	case <-a.done:
		return nil
	case <-o.shard.stopped:
		return ErrEnded
	case <-ctx.Done():
		return ctx.Err()
	}
}

// answerAt reports whether the outbox has an answer at a place.
func (o *Outbox) answerAt(place answerPlace) bool {
	a := o.answer.Load()
	return a != nil && a.place == place
}

// moveAnswer moves the answer, if it is at one place, to another.
func (o *Outbox) moveAnswer(from, to answerPlace) {
	if a := o.answer.Load(); a != nil && a.place == from {
		a.place = to
	}
}

// finishAnswer reports the answer, if there is one, as written.
func (o *Outbox) finishAnswer() {
	a := o.answer.Swap(nil)
	if a == nil {
		return
	}
	if a.written != nil {
		a.written()
	}
	close(a.done)
}
