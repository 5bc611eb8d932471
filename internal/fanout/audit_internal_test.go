package fanout

import (
	"fmt"
	"math"
	"slices"
	"time"
	"unsafe"
)

// audit recomputes from scratch what a dispatcher keeps count of.
type audit struct {
	*Dispatcher
	found []string
	total struct {
		backlog int64
		open    [numProtocols]int64
		owners  map[*account]*account // with what they should count
	}
}

// Audit returns what the dispatcher counts wrongly or keeps without need. Call it while nothing moves.
func (d *Dispatcher) Audit() []string {
	a := &audit{Dispatcher: d}
	a.total.owners = map[*account]*account{}
	organizations := map[*organization]int64{}
	for _, s := range d.shards {
		a.shard(s, organizations)
	}
	d.registry.All(func(e *Entry) bool {
		o := e.Organization()
		a.equal("backlog of an organization", o.backlog.pending.Load(), organizations[o])
		a.equal("waiters of an organization", o.backlog.waiters.Load(), 0)
		return true
	})
	a.equal("backlog", d.total.pending.Load(), a.total.backlog)
	for p := range d.open {
		a.equal(fmt.Sprint("outboxes of protocol ", p), d.open[p].Load(), a.total.open[p])
	}
	d.accounts.mu.Lock()
	defer d.accounts.mu.Unlock()
	a.equal("accounts", len(d.accounts.byOwner), len(a.total.owners))
	for counted, counts := range a.total.owners {
		a.equal("account of a user", d.accounts.byOwner[counted.owner], counted)
		a.equal("outboxes of an account", counted.outboxes, counts.outboxes)
		a.equal("bytes of an account", counted.bytes.Load(), counts.bytes.Load())
	}
	d.held.mu.Lock()
	defer d.held.mu.Unlock()
	held := 0
	for _, ho := range d.held.byOrganization {
		held += len(ho.states)
		a.equal("organization with states that are held back", len(ho.states) > 0, true)
		a.equal("states in the order of those held back", len(ho.order)-ho.next, len(ho.states))
	}
	a.equal("states held back", d.held.total.Load(), held)
	return a.found
}

func (a *audit) equal(what string, got, want any) {
	if fmt.Sprint(got) != fmt.Sprint(want) {
		a.found = append(a.found, fmt.Sprintf("%s: %v, want %v", what, got, want))
	}
}

func (a *audit) shard(s *Shard, organizations map[*organization]int64) {
	a.equal("commands in an inbox", s.inbox.head.Load() != nil, false)
	a.equal("additions under way", s.additionsBegun.Load()-s.additionsApplied, 0)
	var size, waiting, full, detached, kept, lagging int
	var sizes outboxSizes
	replays := map[*Replay]bool{}
	for slot, o := range s.wheel.slots {
		for ; o != nil; o = o.next {
			size++
			a.total.open[o.protocol]++
			a.equal("slot of an outbox", o.slot, slot)
			a.equal("due outbox", o.due > s.wheel.tick && o.due <= s.wheel.tick+wheelSlots, true)
			a.outbox(o)
			waiting += int(o.held.Load())
			sizes.count(int(o.held.Load()), 1)
			if o.replay != nil {
				replays[o.replay] = true
			}
			if o.full {
				full++
				if _, ok := s.lagging.since[o]; ok {
					lagging++
				}
			}
			if r := o.resumption; r != nil {
				kept += r.bytes
				if r.detached {
					detached++
				}
			}
		}
	}
	a.equal("outboxes of the wheel", s.wheel.size, size)
	a.equal("waiting bytes", s.waitingBytes, waiting)
	a.equal("sizes of outboxes", s.sizes, sizes)
	a.equal("full outboxes", s.fullOutboxes, full)
	a.equal("lagging outboxes that are not full", len(s.lagging.since)-lagging, 0)
	a.equal("bytes kept for resumption", s.resumable.bytes, kept)
	a.equal("detached outboxes", s.resumable.detached, detached)
	if total := s.options.Outbox.TotalBytes; total > 0 {
		a.equal("waiting bytes below their bound", waiting <= total/len(a.shards)+s.options.Outbox.WriteBytes*size, true)
	}
	a.equal("bytes kept below their bound", kept <= s.options.Resume.TotalBytes/len(a.shards), true)
	a.buffers(s)
	a.queues(s, organizations)
	a.watched(s, replays)
	a.registry.All(func(e *Entry) bool {
		l := s.table.Find(e)
		if l == nil {
			return true
		}
		mask, _ := e.Shards()
		a.equal("shard in the mask", mask>>s.index&1, 1)
		return true
	})
}

// outbox audits an outbox that has not ended.
func (a *audit) outbox(o *Outbox) {
	s := o.shard
	a.equal("outbox that has ended", o.state == outboxEnded, false)
	a.equal("calls of Send", o.sends.Load(), 0)
	a.equal("collected frames", fmt.Sprint(len(o.buf), o.collected, o.queue != nil), "0 0 false")
	a.equal("full outbox with a list", o.waiting != nil, o.full)
	detached := false
	if r := o.resumption; r != nil {
		detached = r.detached
		size := 0
		for i := range r.log {
			size += r.log[i].size(o.protocol)
		}
		a.equal("bytes kept", r.bytes, size)
		a.equal("bytes kept below their bound", size <= s.options.Resume.Bytes, true)
		a.equal("number of the last frame", r.last.Load()+1, r.first.Load()+uint64(len(r.log)))
		a.equal("socket that waits", r.next.Load() != nil && o.inFlightBytes == 0, false)
		a.equal("end of a resumable outbox", r.end.Load(), o.state != outboxOpen)
	}
	answer := o.answer.Load()
	a.equal("answer of an outbox that is not full", answer != nil && !o.full, false)
	if !o.full {
		a.equal("bytes of an outbox that is not full", o.held.Load(), 0)
		a.equal("closing outbox with nothing to write", o.state != outboxOpen, false)
		return
	}
	a.equal("detached outbox with a deadline", !detached || o.state == outboxOpen, true)
	if !detached {
		a.equal("bytes in the hands of a goroutine", o.inFlightBytes > 0, true)
		_, ok := s.lagging.since[o]
		a.equal("full outbox among those that lag", ok, true)
	}
	w := o.waiting
	a.equal("bytes of an outbox", o.held.Load(), o.inFlightBytes+w.bytes)
	size, states, large, answers := a.waiting(o)
	a.equal("bytes of its waiting frames", w.bytes, size)
	a.equal("states to be replaced", len(w.newest), states)
	a.equal("size of the first large frame", w.large, large)
	a.equal("size of the answer", w.answer, answers)
	if answer != nil {
		place := answerInFlight
		if answers > 0 {
			place = answerWaits
		}
		a.equal("place of the answer", answer.place, place)
	}
	owner := o.writer.Owner()
	a.equal("account", w.account != nil, owner != (Owner{}))
	if w.account != nil {
		counts := a.total.owners[w.account]
		if counts == nil {
			counts = &account{}
			a.total.owners[w.account] = counts
		}
		counts.outboxes++
		counts.bytes.Add(o.held.Load())
	}
	if o.state == outboxOpen {
		a.equal("waiting frames below their bound", size-large-answers <= s.options.Outbox.Bytes, true)
		since, ok := w.oldest()
		a.equal("age of waiting frames below its bound",
			detached || !ok || time.Since(since) <= s.options.Outbox.Age+20*time.Second, true)
	}
}

// waiting audits the frames behind a full socket. It returns their memory, the number of states, and the sizes of the
// frames that do not count.
func (a *audit) waiting(o *Outbox) (size, states, large, answer int) {
	w := o.waiting
	for i := range w.queue {
		p := &w.queue[i]
		if i < w.head {
			a.equal("frame that went out", *p, pending{})
			continue
		}
		size += p.size(o.protocol)
		if p.answer {
			answer += p.size(o.protocol)
		}
		if b := p.broadcast; b != nil && b.state {
			states++
			a.equal("place of a state", w.newest[subscriptionState{p.id, b.key}], i+w.moved)
		}
	}
	if i := w.largeAt - w.moved; w.large > 0 && i >= w.head && i < len(w.queue) && !w.queue[i].answer {
		large = w.queue[i].size(o.protocol)
		a.equal("large frame", large > o.shard.options.Outbox.WriteBytes, true)
	}
	return size, states, large, answer
}

func (a *audit) buffers(s *Shard) {
	bytes := 0
	seen := map[*byte]bool{}
	for _, b := range s.buffers.free {
		bytes += cap(b)
		a.equal("size of a kept buffer", cap(b) >= bufferBytes && cap(b) <= maxKeptBuffer, true)
		a.equal("buffer kept twice", seen[unsafe.SliceData(b)], false)
		seen[unsafe.SliceData(b)] = true
	}
	a.equal("bytes of kept buffers", s.buffers.bytes, bytes)
	a.equal("kept buffers below their bound", bytes <= maxKeptBytes, true)
}

func (a *audit) queues(s *Shard, organizations map[*organization]int64) {
	a.equal("queue in the ring", s.ring.first != nil, false)
	a.equal("control queue without work", s.control.empty(), true)
	a.equal("spare queues below their bound", len(s.spare) <= maxSpareQueues, true)
	for _, q := range s.spare {
		a.equal("spare queue without work", q.empty() && q.switches == 0 && !q.flushing && q.flushed == 0, true)
		a.equal("organization of a spare queue", q.organization != nil || q.batches, false)
		a.equal("rest of a spare queue", q.resting || !q.restsUntil.IsZero(), false)
		a.equal("bytes in a spare queue", q.collected+q.buffered, 0)
	}
	for o, q := range s.queues {
		a.equal("organization of a queue", q.organization == o, true)
		a.equal("queue that neither works nor rests", q.resting && q.betweenRounds(), true)
		a.equal("unmeasured events", len(q.unmeasured), 0)
		a.equal("resting queue in the list", q.listed && slices.Contains(s.resting.queues, q), true)
		switches := 0
		for c := q.first; c != nil; c = c.next {
			if c.next != nil {
				switches += switchCount(c, c.next)
			}
			if c.kind == commandEvent {
				organizations[o] += c.broadcast.cost
				a.total.backlog += c.broadcast.cost
			}
		}
		a.equal("switches of topics", q.switches, switches)
		a.equal("resting queue that nothing wakes", q.first != nil && s.resting.next.After(q.restsUntil), false)
	}
	for _, q := range s.resting.queues {
		a.equal("queue in the list", q.listed, true)
		a.equal("resting queue that nothing wakes", s.resting.next.IsZero(), false)
	}
}

// watched audits the topics that replays watch.
func (a *audit) watched(s *Shard, replays map[*Replay]bool) {
	for _, w := range s.watched {
		a.equal("watched topic without replay", len(w.replays) == 0, false)
		a.equal("recorded states below their bound", len(w.last) <= w.limit, true)
	}
	for r := range replays {
		for _, e := range r.entries {
			w := s.watched[e]
			a.equal("topic of a replay", w != nil, true)
			if w != nil {
				_, ok := w.replays[r]
				a.equal("replay of a watched topic", ok, true)
			}
		}
	}
}

// UnderWay returns the number of deliveries that were neither made nor dropped yet. ok reports whether all events have
// left their queues, so that the number is right.
func (d *Dispatcher) UnderWay() (deliveries int, ok bool) {
	ok = d.total.pending.Load() == 0
	for _, s := range d.shards {
		s.wheel.each(func(o *Outbox) {
			deliveries += o.collected + o.inFlight
			if r := o.resumption; r != nil {
				deliveries += r.undelivered
			}
			if w := o.waiting; w != nil {
				for i := range w.queue {
					if w.queue[i].broadcast != nil {
						deliveries++
					}
				}
			}
		})
	}
	return deliveries, ok
}

// Gauges returns what the gauges of the shards must show.
func (d *Dispatcher) Gauges() map[string]float64 {
	g := map[string]float64{
		"rte_fanout_outboxes_full": 0, "rte_fanout_outbox_waiting_bytes": 0, "rte_fanout_outboxes_detached": 0,
		"rte_fanout_unacknowledged_bytes": 0, "rte_fanout_outboxes_waiting": 0,
	}
	for _, s := range d.shards {
		g["rte_fanout_outboxes_full"] += float64(s.fullOutboxes)
		g["rte_fanout_outbox_waiting_bytes"] += float64(s.waitingBytes)
		g["rte_fanout_outboxes_detached"] += float64(s.resumable.detached)
		g["rte_fanout_unacknowledged_bytes"] += float64(s.resumable.bytes)
		for _, n := range s.sizes {
			g["rte_fanout_outboxes_waiting"] += float64(n)
		}
	}
	return g
}

// Continue makes what shards do from now on happen after what the caller has read of them, for the race detector.
func (d *Dispatcher) Continue() {
	for _, s := range d.shards {
		s.inbox.put(&command{kind: math.MaxUint8}) // does nothing
	}
}

// Takes reports whether the outbox takes events. Call it while nothing moves.
func (o *Outbox) Takes() bool { return o.state == outboxOpen }

// Watches returns the number of topics that replays watch.
func (d *Dispatcher) Watches() (topics int) {
	for _, s := range d.shards {
		topics += len(s.watched)
	}
	return topics
}
