package redis

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/backplane/sequence"
	"github.com/rte-server/rte-server/internal/events"
)

// A node that may have missed events without a journal asks the others. The question goes over the lane itself, so
// that it stands at the same place among the events of the lane for everybody: a node answers with what came before
// the question, and what came after it the asking node has received by itself. One of those that know announces over
// the lane that it will answer, and then does so over the channel of the asking node.
const (
	questionMark = '?' // begins a question or an announcement on a lane; no event begins so
	peerPrefix   = "rte:peer:"

	// peerPatience is how long a node waits for an answer if not all others say that they have none. What comes on
	// the lane is held back meanwhile.
	peerPatience = 2 * time.Second
	// peerJitter is how long a node waits at most whether another announces an answer.
	peerJitter = 20 * time.Millisecond
	// peerPart is how many bytes of events an answer has in one message, and peerParts how many messages.
	peerPart  = 256 << 10
	peerParts = 64
	// peerBacklog bounds the answers and questions that wait to be sent, and peerMemory the bytes of the answers.
	peerBacklog = 4096
	peerMemory  = 64 << 20
)

// question is what is said about a repair on the lane concerned.
type question struct {
	// Node is who asks, and Generation which of its repairs of the lane it is about.
	Node       string `json:"node"`
	Generation uint64 `json:"generation"`
	// Known is the Id of the last event that the asking node has; empty: it has none, and asks for those Since a time of
	// the server, as a stream id. Both are empty in an announcement.
	Known string `json:"known,omitempty"`
	Since string `json:"since,omitempty"`
	// By is the node that announces its answer.
	By string `json:"by,omitempty"`
}

// part is the first line of a message with an answer, or with a part of it; events follow, each after its length.
type part struct {
	Lane       string `json:"lane"`
	Generation uint64 `json:"generation"`
	By         string `json:"by"`
	// Number counts the parts of an answer from 0: one may get lost.
	Number int  `json:"number,omitempty"`
	Last   bool `json:"last"`
	// Unknown says that the node does not know what followed.
	Unknown bool `json:"unknown,omitempty"`
}

// peers sends questions and answers.
type peers struct {
	b *Backplane

	mu      sync.Mutex
	waiting map[*lane]waiting // guarded by mu; the lanes that wait for an answer
	answers []*answer         // guarded by mu; answers that wait for their time
	bytes   int               // guarded by mu; of answers
	asks    []*lane           // guarded by mu; questions that were not sent yet
	work    chan struct{}     // has room for one; filled when there is something to send
}

// waiting is what a lane waits for.
type waiting struct {
	sequence.Read
	until  time.Time
	heard  int64 // how many were asked, this node included; 0: not asked yet
	denied int64 // how many of them said that they do not know
}

// answer is what this node will answer, unless another is faster.
type answer struct {
	lane string
	question
	parts  [][]byte
	denial bool // it says that this node does not know
	due    time.Time
}

func (a *answer) size() (bytes int) {
	for _, text := range a.parts {
		bytes += len(text)
	}
	return bytes
}

func newPeers(b *Backplane) *peers {
	return &peers{b: b, waiting: map[*lane]waiting{}, work: make(chan struct{}, 1)}
}

// channel is where a node gets its answers.
func (p *peers) channel() string { return peerPrefix + p.b.node }

// ask has the other nodes asked for a lane. The lane gets an answer in any case.
func (p *peers) ask(l *lane, r sequence.Read) {
	p.mu.Lock()
	refused := len(p.asks) >= peerBacklog
	if !refused {
		p.waiting[l] = waiting{Read: r, until: time.Now().Add(peerPatience)}
		p.asks = append(p.asks, l)
	}
	p.mu.Unlock()
	if refused {
		p.b.post(l, &answered{sequence.Answer{Generation: r.Generation}})
		return
	}
	p.wake()
}

// offer makes an answer wait for its time. It is left out if too much waits already.
func (p *peers) offer(a *answer) {
	a.due = time.Now()
	if !a.denial {
		a.due = a.due.Add(rand.N(peerJitter)) //nolint:gosec // jitter
	}
	p.mu.Lock()
	if size := a.size(); len(p.answers) < peerBacklog && p.bytes+size <= peerMemory {
		p.answers = append(p.answers, a)
		p.bytes += size
	}
	p.mu.Unlock()
	p.wake()
}

// announced drops this node's own answer: another will give it.
func (p *peers) announced(lane string, q question) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.removeLocked(func(a *answer) bool {
		return a.lane == lane && a.Node == q.Node && a.Generation == q.Generation
	})
}

// removeLocked takes answers out.
func (p *peers) removeLocked(these func(a *answer) bool) {
	p.answers = slices.DeleteFunc(p.answers, func(a *answer) bool {
		if !these(a) {
			return false
		}
		p.bytes -= a.size()
		return true
	})
}

// waitsFor says that a lane waits for an answer to this.
func (p *peers) waitsFor(l *lane, generation uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	w, ok := p.waiting[l]
	return ok && w.Generation == generation
}

// settle ends the waiting of a lane; false if it does not wait for this any more.
func (p *peers) settle(l *lane, generation uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	w, ok := p.waiting[l]
	if !ok || w.Generation != generation {
		return false
	}
	delete(p.waiting, l)
	return true
}

func (p *peers) wake() {
	select {
	case p.work <- struct{}{}:
	default:
	}
}

// run sends until ctx ends.
func (p *peers) run(ctx context.Context) {
	own := p.b.table.serve(p.channel(), p.receive, nil)
	tick := time.NewTicker(peerJitter / 4)
	defer tick.Stop()
	for {
		wait := tick.C
		if p.idle() {
			wait = nil
		}
		select {
		case <-ctx.Done():
			return
		case <-p.work:
		case <-wait:
		}
		p.giveUp(time.Now())
		if ready, _, refused := p.b.table.state(own); ready && refused == nil {
			p.sendQuestions(ctx)
		}
		p.sendAnswers(ctx)
	}
}

func (p *peers) idle() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.waiting) == 0 && len(p.answers) == 0
}

// giveUp lets the lanes go on that waited too long.
func (p *peers) giveUp(now time.Time) {
	p.mu.Lock()
	var late []*lane
	for l, w := range p.waiting {
		if now.After(w.until) {
			late = append(late, l)
		}
	}
	p.asks = slices.DeleteFunc(p.asks, func(l *lane) bool { return slices.Contains(late, l) })
	p.mu.Unlock()
	for _, l := range late {
		p.fail(l)
	}
}

// count notes how many heard the question of a lane, or denied to know. If nobody is left who could, that is the answer.
func (p *peers) count(l *lane, heard, denied int64) {
	p.mu.Lock()
	w, ok := p.waiting[l]
	w.heard += heard
	w.denied += denied
	if ok {
		p.waiting[l] = w
	}
	p.mu.Unlock()
	if ok && w.heard > 0 && w.denied >= w.heard-1 {
		p.fail(l)
	}
}

// deny notes that a node does not know.
func (p *peers) deny(l *lane, generation uint64) {
	if p.waitsFor(l, generation) {
		p.count(l, 0, 1)
	}
}

// fail answers a lane that nobody knows.
func (p *peers) fail(l *lane) {
	p.mu.Lock()
	w, ok := p.waiting[l]
	delete(p.waiting, l)
	p.mu.Unlock()
	if ok {
		p.b.post(l, &answered{sequence.Answer{Generation: w.Generation}})
	}
}

// sendQuestions asks. A question that nobody but this node heard has no answer.
func (p *peers) sendQuestions(ctx context.Context) {
	p.mu.Lock()
	asks := p.asks
	p.asks = nil
	messages := make([]utterance, len(asks))
	for i, l := range asks {
		w := p.waiting[l]
		q := question{Node: p.b.node, Generation: w.Generation}
		if w.Known != (events.ID{}) {
			q.Known = w.Known.String()
		} else {
			q.Since = w.Since.String()
		}
		messages[i] = utterance{channel: l.name, payload: q.encode()}
	}
	p.mu.Unlock()
	p.b.say(ctx, messages)
	var again []*lane
	for i, m := range messages {
		if m.err != nil {
			again = append(again, asks[i])
		} else {
			p.count(asks[i], m.heard, 0)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asks = append(p.asks, slices.DeleteFunc(again, func(l *lane) bool {
		_, ok := p.waiting[l]
		return !ok // given up meanwhile
	})...)
}

// sendAnswers sends the answers whose time has come.
func (p *peers) sendAnswers(ctx context.Context) {
	now := time.Now()
	var messages []utterance
	p.mu.Lock()
	p.removeLocked(func(a *answer) bool {
		if a.due.After(now) {
			return false
		}
		if !a.denial {
			announcement := question{Node: a.Node, Generation: a.Generation, By: p.b.node}
			messages = append(messages, utterance{channel: a.lane, payload: announcement.encode()})
		}
		for _, text := range a.parts {
			messages = append(messages, utterance{channel: peerPrefix + a.Node, payload: text})
		}
		return true
	})
	p.mu.Unlock()
	p.b.say(ctx, messages)
}

// utterance is a message to publish, and how many heard it.
type utterance struct {
	channel string
	payload []byte
	heard   int64
	err     error
}

// say publishes messages, those through the same client in order.
func (b *Backplane) say(ctx context.Context, messages []utterance) {
	if len(messages) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, b.options.CommandTimeout)
	defer cancel()
	pipes := map[goredis.UniversalClient]goredis.Pipeliner{}
	results := make([]*goredis.IntCmd, len(messages))
	for i, m := range messages {
		client := b.commands(m.channel)
		pipe := pipes[client]
		if pipe == nil {
			pipe = client.Pipeline()
			pipes[client] = pipe
		}
		if b.options.Cluster {
			results[i] = pipe.SPublish(ctx, m.channel, m.payload)
		} else {
			results[i] = pipe.Publish(ctx, m.channel, m.payload)
		}
	}
	for _, pipe := range pipes {
		if _, err := pipe.Exec(ctx); err != nil && ctx.Err() == nil {
			b.log.Warn("nodes not asked", func() []zap.Field { return []zap.Field{zap.Error(err)} })
		}
	}
	for i := range messages {
		messages[i].heard, messages[i].err = results[i].Result()
	}
}

func (q *question) encode() []byte {
	text, err := json.Marshal(q)
	if err != nil {
		panic(err) // [unexpected] strings and a number
	}
	return append([]byte{questionMark}, text...)
}

// receive takes a message on the channel of this node: an answer, or a part of it.
func (p *peers) receive(payload []byte) {
	first, rest, ok := bytes.Cut(payload, []byte("\n"))
	var head part
	if !ok || json.Unmarshal(first, &head) != nil {
		return
	}
	l := p.b.table.find(head.Lane)
	if l == nil {
		return
	}
	n := &answerPart{part: head}
	rest = bytes.Clone(rest) // the payload is used again
	for len(rest) >= 4 {
		size := binary.BigEndian.Uint32(rest)
		if rest = rest[4:]; uint64(size) > uint64(len(rest)) {
			return
		}
		n.data = append(n.data, rest[:size])
		rest = rest[size:]
	}
	p.b.post(l, n)
}

// encodeAnswer cuts an answer into messages; nil if it is too long.
func encodeAnswer(head part, data [][]byte) (parts [][]byte) {
	for {
		n, size := 0, 0
		for n < len(data) && (n == 0 || size+len(data[n]) < peerPart) {
			size += len(data[n])
			n++
		}
		head.Number, head.Last = len(parts), n == len(data)
		line, err := json.Marshal(head)
		if err != nil || len(parts) == peerParts {
			return nil
		}
		message := append(make([]byte, 0, len(line)+1+size+4*n), line...)
		message = append(message, '\n')
		for _, d := range data[:n] {
			message = binary.BigEndian.AppendUint32(message, uint32(len(d))) //nolint:gosec // below MaxMessage
			message = append(message, d...)
		}
		parts = append(parts, message)
		if data = data[n:]; head.Last {
			return parts
		}
	}
}
