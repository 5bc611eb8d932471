package sequence_test

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/sequence"
	"github.com/rte-server/rte-server/internal/events"
)

// tier is how an event is published.
type tier int

const (
	counted   tier = iota // journal, number and message
	journaled             // journal and message
	plain                 // message
)

// world is a Redis with one lane, and a node that subscribes to it over a connection that breaks. Each step takes a
// millisecond.
type world struct {
	t     *rapid.T
	epoch time.Time
	now   time.Duration

	// The server.
	behind  time.Duration // of its clock
	lastID  backplane.StreamID
	counter uint64
	journal []sequence.Message
	tiers   []tier               // of the events published, by number
	times   []backplane.StreamID // when they were
	sent    []time.Time          // the same by the node's clock

	// The connection.
	wire []packet
	era  *sequence.Era

	// The node.
	lane      sequence.Lane
	read      *sequence.Read // under way
	delivered []uint64
	seen      map[uint64]bool
	answers   bool   // another node knows all plain events
	mix       []tier // how events are published
	losses    map[backplane.LossReason]int
	reported  []backplane.Loss
	forgot    bool            // Redis lost events that it had acknowledged
	gone      map[uint64]bool // events that a failover lost before the node read them: no node can know of them
	buffer    []byte          // has the message that arrives
	isHeld    map[uint64]bool // events whose message arrived during a repair
	account   account
}

// packet is a message on the wire, a canary, or a peer query.
type packet struct {
	message   sequence.Message
	canary    backplane.StreamID
	sent      time.Time // of the canary
	query     *sequence.Read
	published int // number of events published before the query
}

func newWorld(t *rapid.T) *world {
	w := &world{
		t: t, mix: []tier{counted, journaled, plain}, epoch: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), now: time.Hour,
		seen: map[uint64]bool{}, gone: map[uint64]bool{}, isHeld: map[uint64]bool{}, losses: map[backplane.LossReason]int{},
	}
	w.lane.Start(w.time(), backplane.Position{}, true)
	return w
}

func (w *world) time() time.Time { return w.epoch.Add(w.now) }

func (w *world) serverID() backplane.StreamID {
	return backplane.StreamID{Milliseconds: uint64((w.now - w.behind).Milliseconds())}
}

func id(number uint64) (id events.ID) {
	binary.BigEndian.PutUint64(id[:], number+1)
	return id
}

func (w *world) publish(how tier) {
	number := uint64(len(w.tiers))
	w.tiers = append(w.tiers, how)
	w.times = append(w.times, w.serverID())
	w.sent = append(w.sent, w.time())
	m := sequence.Message{Event: events.Event{ID: id(number), Data: text(number)}, Shared: true}
	if how != plain {
		m.ID = w.serverID()
		if m.ID.Compare(w.lastID) <= 0 {
			m.ID = w.lastID
			m.ID.Sequence++
		}
		w.lastID = m.ID
		if how == counted {
			w.counter++
			m.N = w.counter
		}
		w.journal = append(w.journal, m)
	}
	if how == journaled {
		m.Position = backplane.Position{}
	}
	w.wire = append(w.wire, packet{message: m})
}

func (w *world) receive(n int) {
	for ; n > 0 && len(w.wire) > 0; n-- {
		next := w.wire[0]
		w.wire = w.wire[1:]
		if !next.canary.IsZero() {
			w.era = &sequence.Era{ServerTime: next.canary, At: w.time(), Requested: next.sent}
			continue
		}
		if next.query != nil {
			w.answerAsPeer(next)
			continue
		}
		next.message.Era = w.era
		w.live(next.message)
	}
}

// breaks interrupts the connection after n more messages have arrived.
func (w *world) breaks(n int, changed bool) {
	w.receive(n)
	w.wire = nil
	w.read = nil
	w.broken(sequence.Break{Era: w.era, Changed: changed, Reason: backplane.LossOutage})
}

// failover loses the end of the journal.
func (w *world) failover(lost int, behind time.Duration) {
	lost = min(lost, len(w.journal))
	w.forgot = w.forgot || lost > 0
	for _, m := range w.journal[len(w.journal)-lost:] {
		w.gone[numberOf(&m.Event)] = true
	}
	w.journal = w.journal[:len(w.journal)-lost]
	w.counter, w.lastID = 0, backplane.StreamID{}
	for _, m := range w.journal {
		w.counter = max(w.counter, m.N)
		w.lastID = m.ID
	}
	w.behind = behind
}

func (w *world) trim(keep int) {
	if keep < len(w.journal) {
		w.forgot = true
		w.journal = w.journal[len(w.journal)-keep:]
	}
}

func (w *world) request() {
	r, ok := w.lane.Want()
	switch {
	case ok && r.Peers:
		w.wire = append(w.wire, packet{query: &r, published: len(w.tiers)})
	case ok:
		w.read = &r
	}
}

func (w *world) answer() {
	if w.read == nil {
		return
	}
	p := &sequence.Page{Generation: w.read.Generation, Counter: w.counter}
	for _, m := range w.journal {
		if m.ID.Compare(w.read.After) <= 0 {
			continue
		}
		if len(p.Entries) == w.read.Count {
			p.More = true
			break
		}
		p.Entries = append(p.Entries, m)
	}
	w.read = nil
	w.page(p)
}

// answerAsPeer answers like a node that received all events up to the query.
func (w *world) answerAsPeer(q packet) {
	a := &sequence.Answer{Generation: q.query.Generation, Complete: w.answers}
	known := func(number int) bool {
		if q.query.Known == (events.ID{}) {
			return w.times[number].Compare(q.query.Since) < 0
		}
		return uint64(number) < binary.BigEndian.Uint64(q.query.Known[:])
	}
	for number, how := range w.tiers[:q.published] {
		if w.answers && !known(number) && how != counted {
			a.Events = append(a.Events, events.Event{ID: id(uint64(number)), Data: text(uint64(number))})
		}
	}
	w.peerAnswer(a)
}

// finish lets everything on the way arrive.
func (w *world) finish() {
	w.receive(len(w.wire))
	for turns := 0; w.lane.Repairing(); turns++ {
		if turns > 1000 {
			w.t.Fatal("a repair does not end")
		}
		w.request()
		w.answer()
		w.receive(len(w.wire))
		w.now += time.Millisecond
	}
}

func (w *world) StateKey(*events.Event) (events.ID, bool) { return events.ID{}, false }
func (w *world) Overflow()                                {}

// steps takes random steps, among them the faults.
func (w *world) steps(t *rapid.T, faults ...func()) {
	actions := []func(){
		func() { w.publish(rapid.SampledFrom(w.mix).Draw(t, "tier")) },
		func() { w.publish(counted) },
		func() { w.publish(counted) },
		func() { w.receive(rapid.IntRange(1, 4).Draw(t, "messages")) },
		func() { w.receive(rapid.IntRange(1, 4).Draw(t, "messages")) },
		w.request,
		w.answer,
		func() { w.wire = append(w.wire, packet{canary: w.serverID(), sent: w.time()}) },
		func() { w.now += time.Duration(rapid.IntRange(1, 4000).Draw(t, "pause")) * time.Millisecond },
	}
	actions = append(actions, faults...)
	for range rapid.IntRange(1, 120).Draw(t, "steps") {
		actions[rapid.IntRange(0, len(actions)-1).Draw(t, "action")]()
		w.now += time.Millisecond
	}
	w.finish()
}

// An interrupted connection loses no journaled event and keeps the order.
func TestLane_losesNothingInAnInterruption(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.steps(t, func() { w.breaks(rapid.IntRange(0, 3).Draw(t, "arrived"), false) })
		next := uint64(0)
		for _, number := range w.delivered {
			if w.tiers[number] == plain {
				continue
			}
			if number < next {
				t.Fatalf("event %d was delivered after %d", number, next-1)
			}
			next = number + 1
		}
		for number, how := range w.tiers {
			if !w.seen[uint64(number)] && how != plain {
				t.Fatalf("event %d is missing", number)
			}
		}
		if w.losses[backplane.LossFork]+w.losses[backplane.LossTrimmed] > 0 {
			t.Fatalf("losses were reported that did not happen: %v", w.losses)
		}
	})
}

// A reported loss covers the time of every missing event, even of publishers that never published before.
func TestLane_reportsTheTimeOfEachLoss(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.lane.Watch = 24 * time.Hour
		w.steps(t, func() { w.breaks(rapid.IntRange(0, 3).Draw(t, "arrived"), false) })
		for number, at := range w.sent {
			covers := func(l backplane.Loss) bool { return !at.Before(l.From) && !at.After(l.To) }
			if !w.seen[uint64(number)] && !slices.ContainsFunc(w.reported, covers) {
				t.Fatalf("event %d, published at %s, is missing; reported %+v", number, at, w.reported)
			}
		}
	})
}

// A lane with counted events only is assumed to have no others after a while.
func TestLane_trustsTheJournalAfterAWhile(t *testing.T) {
	for name, test := range map[string]struct {
		events  int
		watched time.Duration
		losses  int
	}{
		"no events":                 {0, time.Hour, 1},
		"few events":                {19, time.Hour, 1},
		"many events, a short time": {100, 59 * time.Second, 1},
		"enough events and time":    {20, time.Minute, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(nil)
			w.wire = append(w.wire, packet{canary: w.serverID(), sent: w.time()})
			for range test.events {
				w.publish(counted)
			}
			w.receive(len(w.wire))
			w.now += test.watched
			w.publish(plain)
			w.breaks(0, false)
			w.finish()
			if len(w.reported) != test.losses {
				t.Errorf("reported %+v", w.reported)
			}
		})
	}
}

// Another node that received all events replaces those without a journal.
func TestLane_getsPlainEventsFromPeers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.answers, w.mix = true, []tier{counted, plain}
		w.wire = append(w.wire, packet{canary: w.serverID(), sent: w.time()})
		w.receive(1)
		w.steps(t, func() { w.breaks(rapid.IntRange(0, 3).Draw(t, "arrived"), false) })
		for number := range w.tiers {
			if !w.seen[uint64(number)] {
				t.Fatalf("event %d is missing", number)
			}
		}
		if len(w.losses) > 0 {
			t.Fatalf("losses were reported that did not happen: %v", w.losses)
		}
		next := map[bool]uint64{}
		for _, number := range w.delivered {
			isPlain := w.tiers[number] == plain
			if number < next[isPlain] {
				t.Fatalf("event %d was delivered after %d", number, next[isPlain]-1)
			}
			next[isPlain] = number + 1
		}
	})
}

// Events that Redis lost are reported.
func TestLane_reportsEventsThatRedisLost(t *testing.T) {
	for name, faults := range map[string]func(t *rapid.T, w *world) []func(){
		"failover": func(t *rapid.T, w *world) []func() { return []func(){w.drawFailover(t)} },
		"trim":     func(t *rapid.T, w *world) []func() { return []func(){w.drawTrim(t)} },
	} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				w := newWorld(t)
				w.steps(t, append(faults(t, w), func() { w.breaks(rapid.IntRange(0, 3).Draw(t, "arrived"), false) })...)
				missing := 0
				for number, how := range w.tiers {
					if !w.seen[uint64(number)] && how == counted && !w.gone[uint64(number)] {
						missing++
					}
				}
				reported := w.losses[backplane.LossFork] + w.losses[backplane.LossTrimmed]
				if missing > 0 && reported == 0 {
					t.Fatalf("%d events are missing and no loss was reported", missing)
				}
				if !w.forgot && reported > 0 {
					t.Fatalf("losses were reported that did not happen: %v", w.losses)
				}
			})
		})
	}
}

func (w *world) drawFailover(t *rapid.T) func() {
	return func() {
		behind := time.Duration(rapid.IntRange(-2000, 2000).Draw(t, "behind")) * time.Millisecond
		w.failover(rapid.IntRange(0, 5).Draw(t, "lost"), behind)
		w.breaks(rapid.IntRange(0, 3).Draw(t, "arrived"), true)
	}
}

func (w *world) drawTrim(t *rapid.T) func() {
	return func() { w.trim(rapid.IntRange(0, 3).Draw(t, "keep")) }
}
