package peer

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/rte-server/rte-server/internal/backplane/sequence"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/wakeup"
)

const (
	// patience is how long a node waits for an answer, unless all others deny. The lane holds back its messages
	// meanwhile.
	patience = 2 * time.Second
	// jitter is the longest time that a node waits for the announcement of another before it announces its own answer.
	jitter = 20 * time.Millisecond
	// maxWaiting bounds the answers, and the queries, that wait to be sent. maxAnswerBytes bounds the bytes of the
	// answers.
	maxWaiting     = 4096
	maxAnswerBytes = 64 << 20
)

// Lane is a lane of this node. Lanes are compared with ==.
type Lane interface {
	Name() string
}

// Message is a message to publish, and its result.
type Message struct {
	Channel string
	Payload []byte

	Receivers int64 // how many subscribers received it
	Err       error
}

// Options are what an Exchange needs. All fields are required.
type Options struct {
	// Node is the id of this node.
	Node string
	// Find returns the lane with a name; nil if this node has none.
	Find func(lane string) Lane
	// Received hands a part of an answer to the worker of its lane, for Conversation.Part.
	Received func(l Lane, p *Part)
	// Unanswered hands the worker of a lane the answer that no node knows the events.
	Unanswered func(l Lane, a sequence.Answer)
	// Subscribe subscribes the channel of this node, and returns a function that reports whether it is confirmed.
	Subscribe func(channel string, message func(payload []byte)) (confirmed func() bool)
	// Publish publishes messages, those through the same connection in order, and sets their results.
	Publish func(ctx context.Context, messages []Message)
}

// Exchange sends the peer queries of this node and its answers to those of others. Its methods may be called from any
// goroutine.
type Exchange struct {
	options Options
	work    wakeup.Signal // set when there is something to send

	mu      sync.Mutex
	waiting map[Lane]wait // guarded by mu; the lanes that wait for an answer
	queries []Lane        // guarded by mu; those whose query is not sent yet
	answers []*answer     // guarded by mu; answers that wait for their time
	bytes   int           // guarded by mu; of answers
}

// wait is the wait of a lane for an answer.
type wait struct {
	sequence.Read
	until     time.Time
	receivers int64 // how many nodes received the query, this one included; 0: not sent yet
	denials   int64 // how many of them do not know the events
}

// answer is an answer that this node gives unless another node is faster.
type answer struct {
	Query
	lane   string
	parts  [][]byte
	denial bool // this node does not know the events
	due    time.Time
}

func (a *answer) size() (bytes int) {
	for _, text := range a.parts {
		bytes += len(text)
	}
	return bytes
}

// NewExchange makes an Exchange.
func NewExchange(o Options) *Exchange {
	return &Exchange{options: o, waiting: map[Lane]wait{}, work: wakeup.New()}
}

// channel is the channel on which this node receives answers.
func (x *Exchange) channel() string { return channelPrefix + x.options.Node }

// Query asks the other nodes for the missing events of a lane. The lane always gets an answer.
func (x *Exchange) Query(l Lane, r sequence.Read) {
	x.mu.Lock()
	refused := len(x.queries) >= maxWaiting
	if !refused {
		x.waiting[l] = wait{Read: r, until: time.Now().Add(patience)}
		x.queries = append(x.queries, l)
	}
	x.mu.Unlock()
	if refused {
		x.options.Unanswered(l, sequence.Answer{Generation: r.Generation})
		return
	}
	x.work.Set()
}

// offer queues an answer. It is dropped if too many are queued.
func (x *Exchange) offer(a *answer) {
	a.due = time.Now()
	if !a.denial {
		a.due = a.due.Add(rand.N(jitter)) //nolint:gosec // jitter
	}
	x.mu.Lock()
	if size := a.size(); len(x.answers) < maxWaiting && x.bytes+size <= maxAnswerBytes && x.roomLocked(a.lane, size) {
		x.answers = append(x.answers, a)
		x.bytes += size
	}
	x.mu.Unlock()
	x.work.Set()
}

// roomLocked reports whether a lane may queue an answer of that size: its answers may take a quarter of the bytes, as
// anyone who may publish on the lane can ask.
func (x *Exchange) roomLocked(lane string, size int) bool {
	for _, a := range x.answers {
		if a.lane == lane {
			size += a.size()
		}
	}
	return size <= maxAnswerBytes/4
}

// announced drops this node's own answer: another node will give it.
func (x *Exchange) announced(lane string, q Query) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.removeLocked(func(a *answer) bool {
		return a.lane == lane && a.Node == q.Node && a.Generation == q.Generation
	})
}

// removeLocked removes the queued answers for which these returns true.
func (x *Exchange) removeLocked(these func(a *answer) bool) {
	x.answers = slices.DeleteFunc(x.answers, func(a *answer) bool {
		if !these(a) {
			return false
		}
		x.bytes -= a.size()
		return true
	})
}

// waitsFor reports whether a lane waits for an answer about this repair.
func (x *Exchange) waitsFor(l Lane, generation uint64) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	w, ok := x.waiting[l]
	return ok && w.Generation == generation
}

// finish ends the wait of a lane. It reports whether the lane still waited for this.
func (x *Exchange) finish(l Lane, generation uint64) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	w, ok := x.waiting[l]
	if !ok || w.Generation != generation {
		return false
	}
	delete(x.waiting, l)
	return true
}

// Run sends queries and answers until ctx ends.
func (x *Exchange) Run(ctx context.Context) {
	confirmed := x.options.Subscribe(x.channel(), x.receive)
	tick := time.NewTicker(jitter / 4)
	defer tick.Stop()
	for {
		next := tick.C
		if x.idle() {
			next = nil
		}
		select {
		case <-ctx.Done():
			return
		case <-x.work.C():
		case <-next:
		}
		x.giveUp(time.Now())
		if confirmed() {
			x.sendQueries(ctx)
		}
		x.sendAnswers(ctx)
	}
}

func (x *Exchange) idle() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.waiting) == 0 && len(x.answers) == 0
}

// receive takes a message on the channel of this node: a part of an answer.
func (x *Exchange) receive(payload []byte) {
	p, ok := parsePart(payload)
	if !ok {
		return
	}
	if l := x.options.Find(p.Lane); l != nil {
		x.options.Received(l, p)
	}
}

// giveUp ends the waits that took too long.
func (x *Exchange) giveUp(now time.Time) {
	x.mu.Lock()
	var late []Lane
	for l, w := range x.waiting {
		if now.After(w.until) {
			late = append(late, l)
		}
	}
	x.queries = slices.DeleteFunc(x.queries, func(l Lane) bool { return slices.Contains(late, l) })
	x.mu.Unlock()
	for _, l := range late {
		x.fail(l)
	}
}

// count counts nodes that received the query of a lane, and nodes that denied an answer. If no node is left, the wait
// ends.
func (x *Exchange) count(l Lane, receivers, denials int64) {
	x.mu.Lock()
	w, ok := x.waiting[l]
	w.receivers += receivers
	w.denials += denials
	if ok {
		x.waiting[l] = w
	}
	x.mu.Unlock()
	if ok && w.receivers > 0 && w.denials >= w.receivers-1 {
		x.fail(l)
	}
}

// deny counts a node that does not know the events.
func (x *Exchange) deny(l Lane, generation uint64) {
	if x.waitsFor(l, generation) {
		x.count(l, 0, 1)
	}
}

// fail ends the wait of a lane without an answer.
func (x *Exchange) fail(l Lane) {
	x.mu.Lock()
	w, ok := x.waiting[l]
	delete(x.waiting, l)
	x.mu.Unlock()
	if ok {
		x.options.Unanswered(l, sequence.Answer{Generation: w.Generation})
	}
}

// sendQueries publishes the queued queries. A query that only this node received has no answer.
func (x *Exchange) sendQueries(ctx context.Context) {
	x.mu.Lock()
	lanes := x.queries
	x.queries = nil
	messages := make([]Message, len(lanes))
	for i, l := range lanes {
		w := x.waiting[l]
		q := Query{Node: x.options.Node, Generation: w.Generation}
		if w.Known != (events.ID{}) {
			q.Known = w.Known.String()
		} else {
			q.Since = w.Since.String()
		}
		messages[i] = Message{Channel: l.Name(), Payload: q.encode()}
	}
	x.mu.Unlock()
	x.publish(ctx, messages)
	var again []Lane
	for i, m := range messages {
		if m.Err != nil {
			again = append(again, lanes[i])
		} else {
			x.count(lanes[i], m.Receivers, 0)
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.queries = append(x.queries, slices.DeleteFunc(again, func(l Lane) bool {
		_, ok := x.waiting[l]
		return !ok // its wait ended meanwhile
	})...)
}

// sendAnswers publishes the answers that are due.
func (x *Exchange) sendAnswers(ctx context.Context) {
	now := time.Now()
	var messages []Message
	x.mu.Lock()
	x.removeLocked(func(a *answer) bool {
		if a.due.After(now) {
			return false
		}
		if !a.denial {
			announcement := Query{Node: a.Node, Generation: a.Generation, By: x.options.Node}
			messages = append(messages, Message{Channel: a.lane, Payload: announcement.encode()})
		}
		for _, text := range a.parts {
			messages = append(messages, Message{Channel: channelPrefix + a.Node, Payload: text})
		}
		return true
	})
	x.mu.Unlock()
	x.publish(ctx, messages)
}

func (x *Exchange) publish(ctx context.Context, messages []Message) {
	if len(messages) > 0 {
		x.options.Publish(ctx, messages)
	}
}
