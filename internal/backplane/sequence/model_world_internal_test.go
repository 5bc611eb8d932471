package sequence

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/events"
)

// modelTier is how an event is published.
type modelTier int

const (
	modelCounted   modelTier = iota // journal, number and message
	modelJournaled                  // journal and message
	modelPlain                      // message
)

// modelBounds bound what happens in a world, so that it has a finite number of states.
type modelBounds struct {
	Publishes int // of events
	Repeats   int // of the latest event by its publisher, with the same Id
	Canaries  int
	Cuts      int // of the connection
	Overflows int // of the queue of the node
	Failovers int // to a server without the latest entries of the journal
	Trims     int // of the oldest entry of the journal
}

// modelEvent is a published event.
type modelEvent struct {
	Tier modelTier
	At   time.Time
	Gone int // the failover that lost it, so that no later read can find it: those left then, and 1; 0: none did
}

// modelPacket is a message or a canary on its way to the node.
type modelPacket struct {
	Message Message
	Canary  bool
	Sent    time.Time
}

// modelWorld is a lane of Redis and a real Lane that follows it. Only publishing takes time.
type modelWorld struct {
	Lane  Lane
	Left  modelBounds
	Rules *modelRules

	Now     time.Time
	Behind  time.Duration // of the server's clock
	Counter uint64
	LastID  backplane.StreamID
	Journal []Message
	First   int // number of the first event
	Events  []modelEvent

	Connected bool
	Changed   bool // the server has another history than that of the last connection
	Wire      []modelPacket
	Era       *Era
	Requested *Read // not executed
	Page      *Page // executed, not arrived

	Delivered []int
	Losses    []backplane.Loss
	Shortened bool   // entries left the journal, perhaps before the node had read them
	Trimmed   bool   // not in a failover
	Failed    bool   // another server became the master
	Wrong     string // the invariant that does not hold
}

// modelRules are the same for all states of an exploration.
type modelRules struct {
	tiers []modelTier
	pause time.Duration // between two events
	peers bool          // another node knows all plain events
	fault modelFault
}

// modelFault is a mistake that the exploration must find.
type modelFault int

const (
	modelNoFault modelFault = iota
	modelNoReport
	modelSilentLoss
	modelTwice
)

// modelWarm is the number of events before an exploration of a lane whose publishers are known to write the journal.
const modelWarm = plainProof

func newModelWorld(left modelBounds, rules *modelRules, warm bool) *modelWorld {
	w := &modelWorld{Rules: rules, Connected: true, Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	w.Lane.Start(w.Now, backplane.Position{}, true)
	w.Lane.ids.init() // all states of an exploration have the same hashes
	if warm {
		w.warmUp()
	}
	w.Left = left
	return w
}

// warmUp lets the lane learn that its publishers write the journal.
func (w *modelWorld) warmUp() {
	w.Left.Canaries = 1
	for range modelWarm {
		for _, tier := range w.Rules.tiers {
			w.publish(tier)
			w.deliver()
		}
	}
	w.Now = w.Now.Add(2 * plainWatch)
	w.canary()
	w.deliver()
	if read, ok := w.Lane.Audit(); ok {
		w.Lane.Audited(w, w.Now, &Page{Generation: read.Generation, Entries: slices.Clone(w.Journal)})
	}
	w.First = len(w.Events)
	w.Journal, w.Events, w.Delivered = nil, nil, nil
	if !w.Lane.Journaled(w.Now) {
		w.Wrong = "the lane does not trust its journal"
	}
}

// clone returns a copy that shares nothing that changes.
func (w *modelWorld) clone() *modelWorld {
	c := *w
	c.Journal, c.Events, c.Wire = slices.Clone(w.Journal), slices.Clone(w.Events), slices.Clone(w.Wire)
	c.Delivered, c.Losses = slices.Clone(w.Delivered), slices.Clone(w.Losses)
	l := &c.Lane
	l.held, l.plain.tail = slices.Clone(l.held), slices.Clone(l.plain.tail)
	l.ids.ring, l.ids.set, l.ids.extra = slices.Clone(l.ids.ring), slices.Clone(l.ids.set), maps.Clone(l.ids.extra)
	if l.repair != nil {
		r := *l.repair
		r.candidates = maps.Clone(r.candidates)
		l.repair = &r
	}
	return &c
}

func (w *modelWorld) serverID() backplane.StreamID {
	return backplane.StreamID{Milliseconds: uint64(w.Now.Add(-w.Behind).UnixMilli())}
}

// id returns the Id of an event.
func (w *modelWorld) id(number int) (id events.ID) {
	binary.BigEndian.PutUint64(id[:], uint64(w.First+number)+1)
	return id
}

// number returns the number of the event with an Id, below 0 for one from before the exploration.
func (w *modelWorld) number(id events.ID) int {
	return int(binary.BigEndian.Uint64(id[:])) - 1 - w.First
}

// publish publishes a new event.
func (w *modelWorld) publish(tier modelTier) {
	w.Left.Publishes--
	w.Now = w.Now.Add(w.Rules.pause)
	w.Events = append(w.Events, modelEvent{Tier: tier, At: w.Now})
	w.send(len(w.Events)-1, tier)
}

// send sends an event, perhaps again.
func (w *modelWorld) send(number int, tier modelTier) {
	m := Message{Event: events.Event{ID: w.id(number), Data: []byte("{}")}, Shared: true}
	if tier != modelPlain {
		m.ID = w.serverID()
		if m.ID.Compare(w.LastID) <= 0 {
			m.ID = w.LastID
			m.ID.Sequence++
		}
		w.LastID = m.ID
		if tier == modelCounted {
			w.Counter++
			m.N = w.Counter
		}
		w.Journal = append(w.Journal, m)
		w.Events[number].Gone = 0
	}
	if tier == modelJournaled {
		m.Position = backplane.Position{}
	}
	if w.Connected {
		w.Wire = append(w.Wire, modelPacket{Message: m})
	}
}

func (w *modelWorld) canary() {
	w.Left.Canaries--
	w.Wire = append(w.Wire, modelPacket{
		Canary: true, Message: Message{Position: backplane.Position{ID: w.serverID()}}, Sent: w.Now,
	})
}

// deliver lets the next packet arrive.
func (w *modelWorld) deliver() {
	next := w.Wire[0]
	w.Wire = slices.Delete(w.Wire, 0, 1)
	switch {
	case next.Canary:
		w.Era = &Era{ServerTime: next.Message.ID, At: w.Now, Requested: next.Sent}
	case w.Rules.fault == modelSilentLoss && w.number(next.Message.Event.ID) == 1:
	default:
		next.Message.Era = w.Era
		w.Lane.Live(w, w.Now, &next.Message)
	}
}

// cut ends the connection. Everything under way is lost.
func (w *modelWorld) cut() {
	w.Left.Cuts--
	w.Connected, w.Wire, w.Requested, w.Page = false, nil, nil, nil
}

// connect subscribes the lane again.
func (w *modelWorld) connect() {
	w.Lane.Broken(w.Now, Break{Era: w.Era, Changed: w.Changed, Reason: backplane.LossOutage})
	w.Connected, w.Changed = true, false
}

// overflow drops the packets that wait in the queue of the node.
func (w *modelWorld) overflow() {
	w.Left.Overflows--
	plain := 0
	for i := range w.Wire {
		if !w.Wire[i].Canary && w.Wire[i].Message.N == 0 {
			plain++
		}
	}
	w.Wire = nil
	w.Lane.Broken(w.Now, Break{Era: w.Era, Reason: backplane.LossOverflow, Plain: plain})
}

// fail makes another server the master. It lacks the latest entries, and its clock may be behind.
func (w *modelWorld) fail(lost int, behind time.Duration) {
	w.Left.Failovers--
	w.Changed, w.Failed, w.Behind = true, true, behind
	keep := len(w.Journal) - lost
	for _, m := range w.Journal[keep:] {
		isRepeated := func(other Message) bool { return other.Event.ID == m.Event.ID }
		if !slices.ContainsFunc(w.Journal[:keep], isRepeated) {
			w.Events[w.number(m.Event.ID)].Gone = w.Left.Failovers + 1
		}
		w.Shortened = true
		if m.N > 0 {
			w.Counter--
		}
	}
	w.Journal = w.Journal[:keep]
	w.LastID = backplane.StreamID{}
	if keep > 0 {
		w.LastID = w.Journal[keep-1].ID
	}
}

func (w *modelWorld) trim() {
	w.Left.Trims--
	w.Journal = w.Journal[1:]
	w.Shortened, w.Trimmed = true, true
}

// request takes a read that the lane wants. An answer of another node comes at once.
func (w *modelWorld) request() {
	read, ok := w.Lane.Want()
	switch {
	case !ok:
	case read.Peers:
		w.Lane.Answer(w, w.Now, w.peerAnswer(&read))
	default:
		w.Requested = &read
	}
}

// peerAnswer returns the answer of a node that received everything, if there is one.
func (w *modelWorld) peerAnswer(read *Read) *Answer {
	a := &Answer{Generation: read.Generation, Complete: w.Rules.peers}
	for number, e := range w.Events {
		known := read.Known != (events.ID{}) && number <= w.number(read.Known)
		if w.Rules.peers && e.Tier != modelCounted && !known {
			a.Events = append(a.Events, events.Event{ID: w.id(number), Data: []byte("{}")})
		}
	}
	return a
}

// execute lets Redis execute the read.
func (w *modelWorld) execute() {
	p := &Page{Generation: w.Requested.Generation, Counter: w.Counter}
	for _, m := range w.Journal {
		if m.ID.Compare(w.Requested.After) > 0 {
			p.Entries = append(p.Entries, m)
		}
	}
	w.Requested, w.Page = nil, p
}

// arrive lets the result of the read arrive.
func (w *modelWorld) arrive() {
	p := w.Page
	w.Page = nil
	w.Lane.Page(w, w.Now, p)
}

// quiet lets everything that is under way arrive, and checks what must hold then.
func (w *modelWorld) quiet() {
	if !w.Connected {
		w.connect()
	}
	for turns := 0; len(w.Wire) > 0 || w.Requested != nil || w.Page != nil || w.Lane.Repairing(); turns++ {
		switch {
		case turns > 200:
			w.Wrong = "a repair does not end"
			return
		case len(w.Wire) > 0:
			w.deliver()
		case w.Requested != nil:
			w.execute()
		case w.Page != nil:
			w.arrive()
		default:
			w.request()
		}
	}
	if w.Wrong == "" {
		w.Wrong = w.missing()
	}
}

// missing checks that each missing event lies in a reported interval. An event that a failover lost must lie in one if
// the node can know of it: it has another event that the same failover lost, so that the numbers have gone back.
func (w *modelWorld) missing() string {
	forks := map[int]bool{}
	for number, e := range w.Events {
		if e.Gone > 0 && e.Tier == modelCounted && !w.Trimmed && slices.Contains(w.Delivered, number) {
			forks[e.Gone] = true
		}
	}
	isFork := func(l backplane.Loss) bool { return l.Reason == backplane.LossFork }
	if len(forks) > 0 && !slices.ContainsFunc(w.Losses, isFork) {
		return "a failover lost an event that the node has, and no fork was reported"
	}
	for number, e := range w.Events {
		covers := func(l backplane.Loss) bool { return !e.At.Before(l.From) && !e.At.After(l.To) }
		known := e.Gone == 0 || forks[e.Gone]
		if known && !slices.Contains(w.Delivered, number) && !slices.ContainsFunc(w.Losses, covers) {
			return fmt.Sprintf("event %d is missing, and no report covers its time", number)
		}
	}
	return ""
}

// Deliver implements Host. It checks that no event comes twice, and that events come in order: those of one tier, and
// of both tiers with a journal. The order may differ if the journal lost entries of the same moment. With numbers it
// may not, unless another server became the master as well.
func (w *modelWorld) Deliver(ev *events.Event) {
	number := w.number(ev.ID)
	if number < 0 {
		w.Wrong = "an event was delivered again"
		return
	}
	tier := w.Events[number].Tier
	for _, before := range w.Delivered {
		other := w.Events[before].Tier
		together := tier == other && (tier == modelCounted && !w.Failed || !w.Shortened) ||
			tier != modelPlain && other != modelPlain && !w.Shortened && !w.Failed
		switch {
		case before == number:
			w.Wrong = fmt.Sprintf("event %d was delivered twice", number)
		case before > number && together:
			w.Wrong = fmt.Sprintf("event %d was delivered behind %d", number, before)
		}
	}
	w.Delivered = append(w.Delivered, number)
	if w.Rules.fault == modelTwice && number == 1 {
		w.Rules.fault = modelNoFault
		w.Deliver(ev)
		w.Rules.fault = modelTwice
	}
}

// Lost implements Host. It checks that no event is reported to have left the journal while none has.
func (w *modelWorld) Lost(loss backplane.Loss) {
	if w.Rules.fault != modelNoReport {
		w.Losses = append(w.Losses, loss)
	}
	if loss.Reason != backplane.LossOutage && loss.Reason != backplane.LossOverflow && !w.Shortened {
		w.Wrong = "a loss was reported that did not happen: " + loss.Reason.String()
	}
}

func (w *modelWorld) StateKey(*events.Event) (events.ID, bool) { return events.ID{}, false }
func (w *modelWorld) Read(*events.Event)                       {}
func (w *modelWorld) Plain(*events.Event)                      {}
func (w *modelWorld) Duplicate(DuplicateKind)                  {}
func (w *modelWorld) Overflow()                                {}
func (w *modelWorld) Repaired(GapKind, int, time.Duration)     {}
