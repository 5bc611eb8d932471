package redis

import (
	"context"
	"errors"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rte-server/rte-server/internal/backplane/resp"
	"github.com/rte-server/rte-server/internal/backplane/sequence"
	"github.com/rte-server/rte-server/internal/wakeup"
)

// request is a command on the subscribed connection that Redis has not fully answered. Redis answers requests in
// order, and the channels of a request in order.
type request struct {
	verb     verb
	lanes    []*lane
	answered int
}

// next reports whether the next answer of the request has this verb and this channel.
func (c *request) next(v verb, channel []byte) bool {
	return c.verb == v && string(channel) == c.lanes[c.answered].name
}

// verb is the kind of a request.
type verb uint8

const (
	verbPing verb = iota
	verbJoin
	verbLeave
	// verbDrop unsubscribes a lane that belongs to another link by now, or again to this one.
	verbDrop
)

// epoch is the life of one subscribed connection.
type epoch struct {
	b       *Backplane
	link    *link
	server  *server
	conn    *subscriber
	started time.Time

	// canary is the lane of the canaries of this epoch. It is not in the lane index.
	canary *lane

	reads     atomic.Uint64 // counts the reads that returned something
	canaries  atomic.Uint64 // the number of the last canary that arrived
	confirmed chan struct{} // closed when the canary's lane is confirmed

	// Owned by receive; other goroutines may read them after it has ended.
	lanes  map[string]*lane // the subscribed lanes
	readAt int64            // when bytes came last, in nanoseconds of Unix time
	era    *sequence.Era    // the latest; nil: no canary has arrived yet

	mu       sync.Mutex
	requests []*request    // guarded by mu; not fully answered, in order
	awaited  int           // guarded by mu; lanes of requests
	room     wakeup.Signal // set when a request was answered
}

func newEpoch(k *link, server *server, conn *subscriber, canary string) *epoch {
	return &epoch{
		b:         k.b,
		link:      k,
		server:    server,
		conn:      conn,
		started:   time.Now(),
		canary:    &lane{name: canary},
		confirmed: make(chan struct{}),
		lanes:     k.spare,
		room:      wakeup.New(),
	}
}

// run runs until something is in doubt or ctx ends, and returns the reason. It closes the connection.
func (e *epoch) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	loops := []func(context.Context) error{e.receive, e.reconcile, e.probe, e.lookUpJournals}
	if e.link.number == 0 {
		loops = append(loops, e.maintain)
	}
	for range repairers {
		loops = append(loops, e.repair)
	}
	if e.link.watch != nil {
		loops = append(loops, e.watch)
	}
	var running sync.WaitGroup
	for _, loop := range loops {
		running.Go(func() { cancel(loop(ctx)) })
	}
	<-ctx.Done()
	_ = e.conn.Close()
	running.Wait()
	cause := context.Cause(ctx)
	if errors.Is(cause, context.Canceled) {
		return end(endStopped, "%w", cause)
	}
	return cause
}

// watch ends the epoch when the link's server is no longer the master.
func (e *epoch) watch(ctx context.Context) error {
	if err := e.link.watch(ctx, e.conn.address); err != nil {
		return end(endSwitched, "%w", err)
	}
	return ctx.Err()
}

// Read counts the reads, as a sign of life. Before it reads on, it yields to the workers while the data that was read
// last is still in the processor's cache. It does not if the workers have fallen behind, as yielding would not help
// them.
func (e *epoch) Read(p []byte) (int, error) {
	if waiting := e.b.queued.Load(); waiting > resp.ChunkSize/2 && waiting < 8*resp.ChunkSize {
		runtime.Gosched()
	}
	n, err := e.conn.Read(p)
	if n > 0 {
		e.reads.Add(1)
		e.readAt = time.Now().UnixNano()
	}
	return n, err
}

// receive puts every message into the mailbox of its lane, and never waits: Redis cuts off a subscriber that stops
// reading, with everything that is queued for it.
func (e *epoch) receive(context.Context) error {
	in := resp.NewReader(e, e.b.options.MaxMessage, &e.b.chunks)
	for {
		r, err := in.Next()
		switch {
		case errors.Is(err, resp.ErrProtocol):
			return end(endProtocol, "read: %w", err)
		case err != nil:
			return end(endLost, "read: %w", err)
		case r.Kind == resp.Message:
			e.message(&r)
		default:
			if err := e.answer(&r); err != nil {
				return err
			}
		}
	}
}

// message hands a message to its lane.
func (e *epoch) message(r *resp.Reply) {
	if l := e.lanes[string(r.Channel)]; l != nil {
		en := entry{payload: r.Payload, chunk: r.Chunk, era: e.era, arrived: e.readAt}
		if r.Size > 0 {
			en.action = tooLong{r.Size}
		}
		e.b.offer(l, en)
		return
	}
	// A message that is not a canary was on its way when its lane was given up.
	if string(r.Channel) == e.canary.name {
		e.canaryArrived(r.Payload)
	}
	r.Chunk.Release(1)
}

// answer matches an answer with the request that it belongs to.
func (e *epoch) answer(r *resp.Reply) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	var c *request
	if len(e.requests) > 0 {
		c = e.requests[0]
	}
	switch {
	case c != nil && r.Kind == resp.Pong && c.verb == verbPing:
	case c != nil && r.Kind == resp.Subscribed && c.next(verbJoin, r.Channel):
		e.joined(c.lanes[c.answered])
		c.answered++
	case c != nil && r.Kind == resp.Unsubscribed && c.next(verbLeave, r.Channel):
		e.left(c.lanes[c.answered])
		c.answered++
	case c != nil && r.Kind == resp.Unsubscribed && c.next(verbDrop, r.Channel):
		delete(e.lanes, c.lanes[c.answered].name)
		c.answered++
	case r.Kind == resp.Error && e.belated(c, string(r.Payload)):
		return nil
	case c != nil && r.Kind == resp.Error:
		if err := e.refused(c, string(r.Payload)); err != nil {
			return err
		}
		c.answered = len(c.lanes)
	case r.Kind == resp.Unsubscribed && e.b.options.Cluster:
		return e.unsubscribedByServer(string(r.Channel))
	default:
		return end(endProtocol, "not the answer to a command")
	}
	if c.answered == len(c.lanes) {
		e.requests[0] = nil
		e.requests = e.requests[1:]
		e.awaited -= len(c.lanes)
		e.room.Set()
	}
	return nil
}

// joined begins to route the messages of a lane. The lane learns of its subscription before the first of them.
func (e *epoch) joined(l *lane) {
	if l == e.canary {
		close(e.confirmed)
		return
	}
	e.lanes[l.name] = l
	e.b.index.join(e.link, l, e.server.history, func(n *joined) { e.b.post(l, n) })
}

// left ends a lane that was given up.
func (e *epoch) left(l *lane) {
	delete(e.lanes, l.name)
	e.b.index.leave(e.link, l)
}

// belated reports whether an error does not answer the next request, but an earlier one that gave up a lane and seemed
// to be answered: the server moved the slot of the lane away, and ended the subscription, before it read the request.
// Then its only possible answer to that request is MOVED with the slot.
func (e *epoch) belated(c *request, text string) bool {
	rest, ok := strings.CutPrefix(text, "MOVED ")
	if !ok || !e.b.options.Cluster {
		return false
	}
	number, _, _ := strings.Cut(rest, " ")
	return c == nil || c.verb == verbPing || number != strconv.Itoa(slot(c.lanes[c.answered].name))
}

// unsubscribedByServer handles the end of a subscription whose slot the server gave to another one.
func (e *epoch) unsubscribedByServer(channel string) error {
	if channel == e.canary.name {
		return end(endSwitched, "the canary's slot has moved")
	}
	if l := e.lanes[channel]; l != nil {
		delete(e.lanes, channel)
		e.b.index.moved(e.link, []*lane{l}, e.era, e.server.history)
		e.b.refresh()
	}
	return nil
}

// refused handles an error that answers a request. A lane that is not permitted fails alone. A lane that belongs to
// another server of the cluster moves there; if it was to be given up, it is not subscribed here. Any other refusal
// means that the server is not, or no longer, the one to be subscribed to.
func (e *epoch) refused(c *request, text string) error {
	mine := c.verb == verbJoin && c.lanes[0] != e.canary
	moved := strings.HasPrefix(text, "MOVED")
	switch {
	case c.verb == verbPing && strings.Contains(text, "unknown command"):
		// Operators rename PING. Any answer is a sign of life.
	case mine && strings.HasPrefix(text, "NOPERM"):
		e.b.refused(e.link, c.lanes, text)
	case mine && moved:
		e.b.index.moved(e.link, c.lanes, nil, "")
		e.b.refresh()
	case c.verb == verbLeave && moved:
		e.left(c.lanes[0]) // in a cluster, a request has one lane
	case c.verb == verbDrop && moved:
		delete(e.lanes, c.lanes[0].name)
	default:
		return end(endProtocol, "refused: %s", text)
	}
	return nil
}
