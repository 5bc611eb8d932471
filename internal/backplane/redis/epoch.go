package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// endReason says why an epoch ended.
type endReason uint8

const (
	// endDial: no connection, or no authentication.
	endDial endReason = iota
	// endLost: the connection was closed, or a read or a write failed.
	endLost
	// endSilent: nothing was read for the probe timeout, not even the answer to a PING.
	endSilent
	// endCanary: Redis took a canary and the connection did not bring it.
	endCanary
	// endProtocol: the server sent something that was not expected.
	endProtocol
	// endStopped: the node stops.
	endStopped

	numEndReasons
)

// String is the reason as a metric label.
func (r endReason) String() string {
	return [numEndReasons]string{"dial", "lost", "silent", "canary", "protocol", "stopped"}[r]
}

// ended is the end of an epoch.
type ended struct {
	reason endReason
	err    error
}

func (e *ended) Error() string { return e.reason.String() + ": " + e.err.Error() }
func (e *ended) Unwrap() error { return e.err }

func end(reason endReason, format string, args ...any) error {
	return &ended{reason: reason, err: fmt.Errorf(format, args...)}
}

// verb is what a command asks for.
type verb uint8

const (
	verbPing verb = iota
	verbJoin
	verbLeave
)

// String is the verb as Redis knows it.
func (v verb) String() string {
	return [...]string{"PING", "SUBSCRIBE", "UNSUBSCRIBE"}[v]
}

// command is a command whose answers have not all come. Redis answers in the order of the commands, and within a
// command in the order of its channels.
type command struct {
	verb     verb
	lanes    []*lane
	answered int
}

// next says that an answer of this verb for this channel is the next one of the command.
func (c *command) next(v verb, channel []byte) bool {
	return c.verb == v && string(channel) == c.lanes[c.answered].name
}

// epoch is the life of one connection.
type epoch struct {
	b       *Backplane
	conn    *subscriber
	started time.Time

	// canary is the lane on which this epoch hears itself. It is in no table.
	canary *lane

	reads  atomic.Uint64 // how often something was read
	heard  atomic.Uint64 // the number of the last canary that arrived
	listen chan struct{} // closed when the canary's lane is confirmed

	lanes map[string]*lane // owned by receive: those that are subscribed

	mu       sync.Mutex
	commands []*command    // guarded by mu; not yet answered, in order
	room     chan struct{} // has room for one; filled when a command was answered
}

func newEpoch(b *Backplane, conn *subscriber, canary string) *epoch {
	return &epoch{
		b:       b,
		conn:    conn,
		started: time.Now(),
		canary:  &lane{name: canary},
		listen:  make(chan struct{}),
		lanes:   map[string]*lane{},
		room:    make(chan struct{}, 1),
	}
}

// run lives until something is in doubt or ctx ends, and says why. The connection is closed then.
func (e *epoch) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var loops sync.WaitGroup
	for _, loop := range []func(context.Context) error{e.receive, e.reconcile, e.probe} {
		loops.Go(func() { cancel(loop(ctx)) })
	}
	<-ctx.Done()
	_ = e.conn.Close()
	loops.Wait()
	cause := context.Cause(ctx)
	if errors.Is(cause, context.Canceled) || errors.Is(cause, context.DeadlineExceeded) {
		return end(endStopped, "%w", cause)
	}
	return cause
}

// Read counts what arrives, as a sign of life.
func (e *epoch) Read(p []byte) (int, error) {
	n, err := e.conn.Read(p)
	if n > 0 {
		e.reads.Add(1)
	}
	return n, err
}

// receive hands every message to the mailbox of its lane and waits for nobody: a subscriber that stops reading is
// cut off by Redis, with everything that waits for it.
func (e *epoch) receive(context.Context) error {
	in := newReader(e, e.b.options.MaxMessage)
	for {
		r, err := in.next()
		switch {
		case errors.Is(err, errProtocol):
			return end(endProtocol, "read: %w", err)
		case err != nil:
			return end(endLost, "read: %w", err)
		case r.kind == replyMessage:
			e.message(&r)
		default:
			if err := e.answer(&r); err != nil {
				return err
			}
		}
	}
}

// message hands a message to its lane.
func (e *epoch) message(r *reply) {
	if l := e.lanes[string(r.channel)]; l != nil {
		e.b.offer(l, message{payload: r.payload, tooLong: r.size})
		return
	}
	if string(r.channel) == e.canary.name {
		e.hear(r.payload)
	}
	// Else it is a message that was on its way when its lane was given up.
}

// answer matches an answer with the command that it must belong to.
func (e *epoch) answer(r *reply) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.commands) == 0 {
		return end(endProtocol, "an answer without a command: %s%s", r.channel, r.payload)
	}
	c := e.commands[0]
	switch {
	case r.kind == replyError:
		if err := e.refused(c, string(r.payload)); err != nil {
			return err
		}
		c.answered = len(c.lanes)
	case r.kind == replyPong && c.verb == verbPing:
	case r.kind == replySubscribed && c.next(verbJoin, r.channel):
		e.joined(c.lanes[c.answered])
		c.answered++
	case r.kind == replyUnsubscribed && c.next(verbLeave, r.channel):
		delete(e.lanes, c.lanes[c.answered].name)
		e.b.table.confirm(c.lanes[c.answered], unsubscribed)
		c.answered++
	default:
		return end(endProtocol, "not the answer to the command")
	}
	if c.answered == len(c.lanes) {
		e.commands[0] = nil
		e.commands = e.commands[1:]
		select {
		case e.room <- struct{}{}:
		default:
		}
	}
	return nil
}

// joined begins to route the messages of a lane.
func (e *epoch) joined(l *lane) {
	if l == e.canary {
		close(e.listen)
		return
	}
	e.lanes[l.name] = l
	e.b.table.confirm(l, subscribed)
}

// refused handles an error in place of an answer. A lane that is not allowed fails alone; everything else that a
// server refuses says that it is not, or no longer, the server to be subscribed to.
func (e *epoch) refused(c *command, text string) error {
	if c.verb != verbJoin || c.lanes[0] == e.canary || !strings.HasPrefix(text, "NOPERM") {
		return end(endProtocol, "refused: %s", text)
	}
	e.b.refused(c.lanes, text)
	return nil
}

// reconcile asks for the lanes that are wanted and not subscribed, gives up the others, and sends the PINGs.
func (e *epoch) reconcile(ctx context.Context) error {
	ticker := time.NewTicker(e.b.options.ProbeInterval)
	defer ticker.Stop()
	silence := silence{limit: e.b.options.ProbeTimeout}
	out := e.ask(nil, verbJoin, []*lane{e.canary})
	for {
		for e.waiting() < batchesAhead && len(out) < chunkSize {
			join, leave := e.b.table.batch()
			if len(join) == 0 && len(leave) == 0 {
				break
			}
			if len(join) > 0 {
				out = e.ask(out, verbJoin, join)
			} else {
				out = e.ask(out, verbLeave, leave)
			}
		}
		if len(out) > 0 {
			if err := e.write(out); err != nil {
				return err
			}
			out = out[:0]
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-e.b.table.work:
		case <-e.room:
		case <-ticker.C:
			if silence.tick(e.reads.Load(), true, e.b.options.ProbeInterval) {
				return end(endSilent, "nothing read for %s", e.b.options.ProbeTimeout)
			}
			out = e.ask(out, verbPing, nil)
		}
	}
}

// silence measures how long there was no progress, in ticks and not by the clock: when this process was stopped for
// a while, what it missed waits in the socket.
type silence struct {
	limit    time.Duration
	progress uint64
	silent   time.Duration
}

// tick is told how far things got, and whether they should get further; it answers that they did not for too long.
func (s *silence) tick(progress uint64, expected bool, interval time.Duration) (over bool) {
	if progress != s.progress || !expected {
		s.progress, s.silent = progress, 0
		return false
	}
	s.silent += interval
	return s.silent >= s.limit
}

// waiting is how many commands are not answered yet.
func (e *epoch) waiting() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.commands)
}

// ask adds a command to dst, and to those that wait for an answer.
func (e *epoch) ask(dst []byte, v verb, lanes []*lane) []byte {
	e.mu.Lock()
	e.commands = append(e.commands, &command{verb: v, lanes: lanes})
	e.mu.Unlock()
	dst = appendCommand(dst, v.String(), len(lanes))
	for _, l := range lanes {
		dst = appendArg(dst, l.name)
	}
	return dst
}

// write sends commands. A server that does not take them within the probe timeout is lost.
func (e *epoch) write(commands []byte) error {
	err := e.conn.SetWriteDeadline(time.Now().Add(e.b.options.ProbeTimeout))
	if err == nil {
		_, err = e.conn.Write(commands)
	}
	if err != nil {
		return end(endLost, "write: %w", err)
	}
	return nil
}
