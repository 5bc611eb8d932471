package transport

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/hub"
)

// Bounds of the calls that the reader reads ahead of the one that runs. Beyond them it waits.
const (
	maxCallsAhead     = 8
	maxCallBytesAhead = 4 << 10
)

// calls are the calls of a connection from the first one that runs to the end of the last one that waits: one runs at a
// time, in order (D2). Meanwhile the reader reads on, so that a client can cancel a call, and sees pings answered.
type calls struct {
	c    *Conn
	over chan struct{} // closed when no call is left

	mu        sync.Mutex // guards the following fields
	list      []*pendingCall
	bytes     int // of the messages of the calls behind the first
	completed bool
}

// pendingCall is a call that runs or waits for its turn.
type pendingCall struct {
	invocation *hub.Invocation
	ctx        context.Context
	cancel     context.CancelCauseFunc
	bytes      int  // of its message
	reserved   int  // bytes of Handler.pending
	answered   bool // it is too late to cancel it
}

// invoke runs a call once those before it have ended. It returns at once unless too many calls wait already.
func (c *Conn) invoke(invocation *hub.Invocation, bytes int) {
	ctx, cancel := context.WithCancelCause(c.h.invoking)
	call := &pendingCall{invocation: invocation, ctx: ctx, cancel: cancel, bytes: bytes, reserved: c.reserved}
	c.reserved = 0 // the call has it
	if before := c.underway.Load(); before != nil {
		if before.add(call) {
			return
		}
		<-before.over
	}
	c.lastRead.Store(busy) // the client timeout pauses meanwhile (1.8)
	u := &calls{c: c, over: make(chan struct{}), list: []*pendingCall{call}}
	c.underway.Store(u)
	go u.run(call)
}

// awaitCalls waits until no call is left. What a client sent behind a call counts after the call.
func (c *Conn) awaitCalls() {
	if u := c.underway.Load(); u != nil {
		<-u.over
	}
}

// cancelCall gives up the call with an id, if it is not answered yet.
func (c *Conn) cancelCall(id string) {
	if u := c.underway.Load(); u != nil {
		u.cancel(id)
	}
}

// add adds a call behind the others. It returns false if none of them is left, or if too many wait.
func (u *calls) add(call *pendingCall) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.completed || len(u.list) > maxCallsAhead || u.bytes+call.bytes > maxCallBytesAhead {
		return false
	}
	u.list = append(u.list, call)
	u.bytes += call.bytes
	return true
}

func (u *calls) cancel(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, call := range u.list {
		if call.invocation.ID == id && !call.answered {
			call.cancel(hub.ErrCanceled)
			return
		}
	}
}

// answered makes it too late to cancel the call that runs.
func (u *calls) answered() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.list[0].answered = true
}

// run runs the calls, from the first one on.
func (u *calls) run(call *pendingCall) {
	defer close(u.over)
	defer u.recover()
	for ; call != nil; call = u.next() {
		u.c.session.Invoke(call.ctx, call.invocation)
	}
	u.c.acknowledge()
}

// next ends the call that ran, and returns the next one; nil: none is left.
func (u *calls) next() *pendingCall {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.endLocked()
	if len(u.list) > 0 {
		u.bytes -= u.list[0].bytes
		return u.list[0]
	}
	u.completeLocked()
	return nil
}

// endLocked ends the first call.
func (u *calls) endLocked() {
	call := u.list[0]
	u.list[0] = nil
	u.list = u.list[1:]
	call.cancel(nil)
	if call.reserved > 0 {
		u.c.h.pending.Add(int64(-call.reserved))
		u.c.h.metrics.pending.Sub(float64(call.reserved))
	}
}

// completeLocked makes the connection one without calls.
func (u *calls) completeLocked() {
	u.completed = true
	u.c.lastRead.Store(int64(time.Since(u.c.h.started)))
	u.c.underway.Store(nil)
}

// recover ends the connection after a panic in a call.
func (u *calls) recover() {
	reason := recover()
	if reason == nil {
		return
	}
	u.c.logPanic(reason, zap.Stack("stack"))
	u.c.panicked.Store(true)
	u.mu.Lock()
	for len(u.list) > 0 {
		u.endLocked()
	}
	u.completeLocked()
	u.mu.Unlock()
	u.c.abort()
}
