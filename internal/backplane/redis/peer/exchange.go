package peer

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/sequence"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/wakeup"
)

const (
	// patience is the default of Options.Patience.
	patience = 2 * time.Second
	// maxQueries is how often a query is published before its lane gives up.
	maxQueries = 3
	// maxPause is how much of a pause between two turns of Run counts as waiting. In a longer pause the process did not
	// run, and answers may have arrived that it has not read.
	maxPause = 10 * jitter
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

// Options are what an Exchange needs. All fields but Patience are required.
type Options struct {
	// Patience is how long a node waits for an answer to a query, unless all others deny. The lane holds back its
	// messages meanwhile. Default 2 s.
	Patience time.Duration
	// Node is the id of this node.
	Node string
	// Prefix begins the names of all channels, see backplane.Layout.
	Prefix string
	// Jitter returns a random part of a duration.
	Jitter func(time.Duration) time.Duration
	// Find returns the lane with a name; nil if this node has none.
	Find func(lane string) Lane
	// Received hands a part of an answer to the worker of its lane, for Conversation.Part.
	Received func(l Lane, p *Part)
	// Unanswered hands the worker of a lane the answer that no node knows the events.
	Unanswered func(l Lane, a sequence.Answer)
	// Subscribe subscribes the channel of this node, and returns a function that reports whether it is confirmed. It
	// calls missed whenever messages may have been missed, including at each subscription.
	Subscribe func(channel string, message func(payload []byte), missed func()) (confirmed func() bool)
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
	serial  uint64        // guarded by mu; of the latest query
	ran     time.Duration // guarded by mu; how long Run has run, without its pauses beyond maxPause
	answers []*answer     // guarded by mu; answers that wait for their time
	bytes   int           // guarded by mu; of answers
}

// wait is the wait of a lane for an answer.
type wait struct {
	sequence.Read
	serial    uint64        // of the query; 0: not sent yet
	sent      int           // how often the query was published
	until     time.Duration // when the wait ends, by Exchange.ran
	receivers int64         // how many nodes received the query, this one included; 0: not known yet
	denials   int64         // how many of them do not know the events
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
	o.Patience = cmp.Or(o.Patience, patience)
	return &Exchange{options: o, waiting: map[Lane]wait{}, work: wakeup.New()}
}

// channel returns the channel on which a node receives answers.
func (x *Exchange) channel(node string) string {
	return backplane.Layout{Prefix: x.options.Prefix}.Named(channelPrefix + node)
}

// Query asks the other nodes for the missing events of a lane. The lane always gets an answer.
func (x *Exchange) Query(l Lane, r sequence.Read) {
	x.mu.Lock()
	refused := len(x.queries) >= maxWaiting
	if !refused {
		x.waiting[l] = wait{Read: r, until: x.ran + x.options.Patience}
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
		a.due = a.due.Add(x.options.Jitter(jitter))
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
		return a.lane == lane && a.Node == q.Node && a.Serial == q.Serial
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

// waitsFor reports whether a lane waits for an answer to this query.
func (x *Exchange) waitsFor(l Lane, serial uint64) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	w := x.waiting[l]
	return w.serial != 0 && w.serial == serial
}

// finish ends the wait of a lane, and returns the generation of the repair. ok is false if the lane does not wait for
// an answer to this query.
func (x *Exchange) finish(l Lane, serial uint64) (generation uint64, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	w := x.waiting[l]
	if w.serial == 0 || w.serial != serial {
		return 0, false
	}
	delete(x.waiting, l)
	return w.Generation, true
}

// queryAgain queues the queries that were sent and not answered, because their answers may have been missed. The
// answers to the earlier ones no longer count.
func (x *Exchange) queryAgain() {
	x.mu.Lock()
	for l, w := range x.waiting {
		if w.serial == 0 || w.sent >= maxQueries || len(x.queries) >= maxWaiting {
			continue
		}
		x.waiting[l] = wait{Read: w.Read, sent: w.sent, until: x.ran + x.options.Patience}
		x.queries = append(x.queries, l)
	}
	x.mu.Unlock()
	x.work.Set()
}

// Run sends queries and answers until ctx ends.
func (x *Exchange) Run(ctx context.Context) {
	confirmed := x.options.Subscribe(x.channel(x.options.Node), x.receive, x.queryAgain)
	tick := time.NewTicker(jitter / 4)
	defer tick.Stop()
	for began, ended := time.Now(), time.Now(); ; ended = time.Now() {
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
		now := time.Now()
		x.giveUp(ran(began, ended, now))
		began = now
		if confirmed() {
			x.sendQueries(ctx)
		}
		x.sendAnswers(ctx)
	}
}

// ran returns how long a turn of Run and the pause behind it were.
func ran(began, ended, next time.Time) time.Duration {
	return ended.Sub(began) + min(next.Sub(ended), maxPause)
}

func (x *Exchange) idle() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.waiting) == 0 && len(x.answers) == 0
}

// receive takes a message on the channel of this node: a part of an answer. It drops a part for which no lane waits, as
// the bounds of a lane's queue do not count parts.
func (x *Exchange) receive(payload []byte) {
	p, ok := parsePart(payload)
	if !ok {
		return
	}
	if l := x.options.Find(p.Lane); l != nil && x.waitsFor(l, p.Serial) {
		x.options.Received(l, p)
	}
}

// giveUp ends the waits that took too long. ran is how long Run has run since the last call.
func (x *Exchange) giveUp(ran time.Duration) {
	x.mu.Lock()
	x.ran += ran
	var late []Lane
	for l, w := range x.waiting {
		if x.ran > w.until {
			late = append(late, l)
		}
	}
	x.queries = slices.DeleteFunc(x.queries, func(l Lane) bool { return slices.Contains(late, l) })
	x.mu.Unlock()
	for _, l := range late {
		x.fail(l)
	}
}

// count counts nodes that received a query of a lane, and nodes that denied an answer to it. If no node is left, the
// wait ends.
func (x *Exchange) count(l Lane, serial uint64, receivers, denials int64) {
	x.mu.Lock()
	w := x.waiting[l]
	ok := w.serial != 0 && w.serial == serial
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
	lanes, first := x.queries, x.serial+1
	x.queries = nil
	messages := make([]Message, len(lanes))
	for i, l := range lanes {
		x.serial++
		w := x.waiting[l]
		w.serial = x.serial
		w.sent++
		x.waiting[l] = w
		q := Query{Node: x.options.Node, Serial: w.serial}
		if w.Known != (events.ID{}) {
			q.Known = w.Known.String()
		} else {
			q.Since = w.Since.String()
		}
		messages[i] = Message{Channel: l.Name(), Payload: q.encode()}
	}
	x.mu.Unlock()
	x.publish(ctx, messages)
	for i, m := range messages {
		if serial := first + uint64(i); m.Err != nil {
			x.unsent(lanes[i], serial)
		} else {
			x.count(lanes[i], serial, m.Receivers, 0)
		}
	}
}

// unsent queues a query again that could not be published, unless its wait ended meanwhile.
func (x *Exchange) unsent(l Lane, serial uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if w := x.waiting[l]; w.serial == serial {
		w.serial = 0
		w.sent--
		x.waiting[l] = w
		x.queries = append(x.queries, l)
	}
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
			announcement := Query{Node: a.Node, Serial: a.Serial, By: x.options.Node}
			messages = append(messages, Message{Channel: a.lane, Payload: announcement.encode()})
		}
		for _, text := range a.parts {
			messages = append(messages, Message{Channel: x.channel(a.Node), Payload: text})
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
