package hub

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
	"github.com/rte-server/rte-server/internal/hub/invoker"
)

// Session is the authenticated life of one connection. Its methods may be called from any goroutine. A node has
// hundreds of thousands of sessions: an idle one holds these 96 bytes.
type Session struct {
	// Static once Open has returned.
	hub    *Hub
	conn   Conn
	outbox *fanout.Outbox

	claims atomic.Pointer[authz.Claims] // written with mu held
	opened uint32                       // static: seconds after the hub was made

	// turn is held by the invocation that runs: there is one at a time (D2).
	turn sync.Mutex

	mu     sync.Mutex // guards the following fields
	closed bool
	cancel context.CancelFunc // gives up the invocation that runs; nil: none runs
	// active are the subscriptions; nil: there are none. The outbox has the same ones, and the lane of each is held.
	active active
}

// ID returns the public id of the connection.
func (s *Session) ID() string { return s.conn.ID() }

// Claims returns the claims of the latest token: of the one that opened the connection, or of a refresh.
func (s *Session) Claims() *authz.Claims { return s.claims.Load() }

// claimsInForce returns the claims in force, and never those of a refresh that may still be refused: Claims returns
// them meanwhile, so that a revocation finds them. Decisions use claimsInForce. The caller must not hold mu.
func (s *Session) claimsInForce() *authz.Claims {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Claims()
}

// Outbox returns the outbox of the session, for the transport: the session owns it.
func (s *Session) Outbox() *fanout.Outbox { return s.outbox }

// Info describes a session at one moment.
type Info struct {
	ID            string
	Protocol      fanout.Protocol
	Features      Features
	Claims        *authz.Claims
	Subscriptions int
	Since         time.Time // in whole seconds
	Remote        Remote
	Waiting       int64         // bytes of frames behind a full socket
	Delay         time.Duration // wait of the oldest of them
}

// Info describes the session.
func (s *Session) Info() Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Info{
		ID:            s.ID(),
		Protocol:      s.conn.Protocol(),
		Features:      s.conn.Features(),
		Claims:        s.Claims(),
		Subscriptions: len(s.active),
		Since:         s.hub.made.Add(time.Duration(s.opened) * time.Second),
		Remote:        s.conn.Remote(),
		Waiting:       s.outbox.Waiting(),
		Delay:         s.outbox.Delay(time.Now()),
	}
}

// Invoke runs a call to its end. If the call wants an answer, it goes out through the session's outbox. Calls of one
// session run one at a time, and in order if one goroutine makes them, as a connection's reader does. Each call waits
// until the client has taken the answer of the one before. Invoke returns when the answer is on its way, and the
// client has taken the snapshot behind it, if there is one. When ctx ends or the session is closed, Invoke gives the
// call up and rolls it back. A call whose ctx ends because of ErrCanceled gets no answer. Once the answer before is
// taken, Invoke takes no longer than the invocation limit.
func (s *Session) Invoke(ctx context.Context, inv *Invocation) {
	s.turn.Lock()
	defer s.turn.Unlock()
	if !s.awaitAnswer(ctx) || canceled(ctx) {
		how := invoker.Abandoned
		if canceled(ctx) {
			how = invoker.Canceled
		}
		s.hub.metrics.invocations[methodOf(inv.Target)][how].Inc()
		return
	}
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, s.hub.options.Limits.Invocation)
	defer cancel()
	if !s.whenClosed(cancel) {
		return
	}
	defer s.whenClosed(nil)

	c := &call{session: s, ctx: ctx}
	span := s.hub.beginSpan(inv)
	defer span.End()
	defer func() {
		c.memory.release() // unless the answer has it
		if c.replay != nil {
			s.outbox.EndReplay(c.replay) // also after a panic behind the answer
		}
	}()
	var refusal string
	c.method, c.requests, refusal = s.hub.check(inv)
	var how invoker.Outcome
	if refusal != "" {
		how = invoker.Invalid
		s.answer(c, &Completion{ID: inv.ID, Error: refusal})
		if canceled(ctx) {
			how = invoker.Canceled
		}
	} else {
		how = s.run(c, inv)
	}
	describe(span, c, how)
	s.hub.metrics.invocations[c.method][how].Inc()
	s.hub.metrics.seconds.Observe(time.Since(start).Seconds())
	if c.replay != nil {
		s.snapshot(c)
	}
}

// whenClosed sets the function that Close calls; nil: none. It reports whether the session is still open.
func (s *Session) whenClosed(cancel context.CancelFunc) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancel = cancel
	return !s.closed
}

// awaitAnswer waits until the client has taken the answer of the call before. It reports whether the session is still
// open. A client that does not read ends its session: the send timeout bounds the wait.
func (s *Session) awaitAnswer(ctx context.Context) bool {
	if s.outbox.Answered() {
		return true
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if !s.whenClosed(cancel) {
		return false
	}
	defer s.whenClosed(nil)
	return s.outbox.AwaitAnswer(ctx) == nil
}

// run runs a call on the invoker and answers it.
func (s *Session) run(c *call, inv *Invocation) invoker.Outcome {
	size := s.answerSize(c, inv)
	completion := &Completion{ID: inv.ID}
	switch c.outcome = s.invoke(c, inv, size); c.outcome {
	case invoker.OK:
		completion.Result, completion.Record, completion.Size = c.result, c.Record(), size
	case invoker.Invalid:
		completion.Error = s.hub.detailed(failedToInvoke(inv.Target), "InvalidDataException", notBound)
	case invoker.TimedOut:
		completion.Error = s.hub.detailed(unexpectedError(inv.Target), "TimeoutException",
			"The call found no place to run, or no memory for its answer, in time.")
	default:
		completion.Error = s.hub.detailed(unexpectedError(inv.Target), "InvalidOperationException", "The call failed.")
	}
	switch {
	case s.answer(c, completion):
		return c.outcome
	case canceled(c.ctx):
		return invoker.Canceled
	default:
		return invoker.Abandoned
	}
}

// invoke runs a call on the invoker once there is memory for its answer, which will have about this size.
func (s *Session) invoke(c *call, inv *Invocation, size int) (how invoker.Outcome) {
	var err error
	claims := s.Claims()
	user := fanout.Owner{Organization: claims.Organization, User: claims.User}
	if c.memory, err = s.hub.answers.reserve(c.ctx, user, size, s.hub.metrics.answersWaited); err != nil {
		return invoker.TimedOut
	}
	c.Call = invoker.Call{Method: c.method.String(), Run: c.run}
	// The library encodes small answers in JSON. The hub writes all others right into their frames.
	if c.encode = s.conn.Protocol().Plain() == fanout.ProtocolJSON && size <= smallAnswer; c.encode {
		c.ID = inv.ID
	}
	return s.hub.invoker.Invoke(c.ctx, &c.Call)
}

// answer sends the completion of a call, unless the client wants none (D3), together with what a successful call
// changed. It returns false if the session has ended or the client has canceled the call; then nothing is changed.
func (s *Session) answer(c *call, completion *Completion) bool {
	var frame []byte
	if completion.ID != "" {
		frame = s.conn.EncodeCompletion(completion)
	}
	gone := canceled(c.ctx) // for good: the transport cancels no call whose completion is encoded
	changes := c.outcome == invoker.OK && len(c.added)+len(c.removed) > 0 && !gone
	if changes && s.commit(c, frame) {
		s.hub.releaseLanes(c.removed)
		if len(c.added) > 0 && s.hub.rechecks.number.Load() != c.change {
			s.recheckAdded(c)
		}
		return true
	}
	c.rollBack()
	s.hub.quota.release(s.Claims().Organization, c.taken)
	if changes || gone {
		return false
	}
	if frame != nil {
		s.outbox.Apply(fanout.Change{Answer: c.answerWith(frame)})
	}
	return !s.isClosed()
}

// commit changes the subscriptions. The outbox sends the answer and makes the same change in one step: no event comes
// before the answer to Subscribe, every event that is published after it comes, and none comes after the answer to
// Unsubscribe (H2). It reports whether the session was still open.
func (s *Session) commit(c *call, frame []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	// A recheck may have ended some of them meanwhile.
	c.removed = slices.DeleteFunc(c.removed, func(e *fanout.Entry) bool { return !s.active.has(e.Topic()) })
	now := time.Now()
	for i := range c.added {
		c.added[i].ID = events.NewIDAt(now) // the trace of events reads the beginning of a subscription from its id
	}
	s.hub.history.ended(s, c.removed, now, endedByClient)
	s.setActiveLocked(s.active.without(c.removed).with(c.added))
	c.replay = s.replayFor(c)
	// Before the answer: another session of the organization may use what a client knows to be free.
	s.hub.quota.release(s.Claims().Organization, c.taken-len(c.added)+len(c.removed))
	s.outbox.Apply(fanout.Change{Answer: c.answerWith(frame), Add: c.added, Remove: c.removed, Replay: c.replay})
	s.hub.metrics.subscriptions.Add(float64(len(c.added) - len(c.removed)))
	return true
}

// recheckAdded rechecks the subscriptions of a call during which something changed.
func (s *Session) recheckAdded(c *call) {
	added := make(map[events.Topic]bool, len(c.topics))
	for _, topic := range c.topics {
		added[topic] = true
	}
	// The recheck must happen even if the call is given up, so it does not use the context of the call.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), s.hub.options.Limits.Invocation)
	defer cancel()
	s.recheck(ctx, func(topic events.Topic) bool { return added[topic] })
}

// Send sends a copy of a control frame of the connection, such as a pong, behind everything sent before. After the end
// of the session the frame is dropped. If many earlier frames wait for the shard, Send drops the frame and returns
// false.
func (s *Session) Send(frame []byte) bool { return s.outbox.Send(frame) }

// Close ends the session: it gives up a running call, sends the client the reason and releases what the session held.
// It does not wait. Only the first reason counts; first reports whether this was it.
func (s *Session) Close(reason CloseReason) (first bool) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return false
	}
	s.closed = true
	s.hub.history.closed(s, reason)
	entries, cancel := s.active.entries(), s.cancel
	if s.cancel = nil; len(s.active) == 0 {
		s.hub.idle.remove(s.opened)
	}
	s.active = nil
	s.mu.Unlock()

	if cancel != nil {
		cancel()
	}
	s.hub.quota.release(s.Claims().Organization, len(entries)) // before the client knows of the end
	s.outbox.Close(s.conn.EncodeClose(reason), entries)
	s.hub.releaseLanes(entries)
	s.hub.sessions.remove(s)
	s.hub.undecided.take(s)
	s.hub.metrics.subscriptions.Sub(float64(len(entries)))
	s.hub.metrics.closed[reason].Inc()
	if reason == CloseSlow {
		s.hub.metrics.slowOf.count(s.Claims().Organization)
	}
	return true
}

// count returns the number of subscriptions.
func (s *Session) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.active)
}

func (s *Session) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// matching returns the subscriptions of the session whose topics match.
func (s *Session) matching(match func(events.Topic) bool) (list []fanout.Subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.active {
		if match(l.Entry.Topic()) {
			list = append(list, l)
		}
	}
	return list
}
