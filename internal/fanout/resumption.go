package fanout

import (
	"bytes"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/rte-server/rte-server/internal/events"
)

// resumption is the part of an outbox that lets it continue on another socket after its own is lost (stateful
// reconnect). Frames get numbers, from 1 on, as they are given to the socket. The outbox keeps them until the client
// acknowledges their numbers, as references to shared frames. nil for clients that did not ask for it.
type resumption struct {
	// Used by any goroutine.
	acked atomic.Uint64              // the client has acknowledged the frames up to this number
	first atomic.Uint64              // number of the first frame in log, or of the next one; written by the shard
	last  atomic.Uint64              // number of the last frame that was given to a socket; written by the shard
	next  atomic.Pointer[Attachment] // of the socket that takes over; nil: none waits
	end   atomic.Bool                // the outbox has ended, or is about to

	// Owned by the shard.
	log         []numbered // frames that are not acknowledged
	bytes       int        // memory of log
	detached    bool       // the socket is lost
	undelivered int        // events in log that the lost socket has not taken
	sockets     uint64     // that took over
}

// numbered is a frame with a number.
type numbered struct {
	broadcast *broadcast // nil for a frame of this outbox alone
	frame     []byte     // set if broadcast is nil
	id        events.ID
}

// numberedBytes is the memory that a frame with a number takes beside its bytes, with the slack of a list that grows.
const numberedBytes = 64

// Attachment puts another socket under an outbox. The shard calls one of its methods once. Neither may block.
type Attachment interface {
	// Attach makes the Writer of the outbox use the socket. No write is under way.
	Attach()
	// Refuse closes the socket: the outbox has ended, or lacks frames that the client has not acknowledged.
	Refuse()
}

// OpenResumable is Open for the socket of a client that may continue on another one: the outbox then outlives its
// socket, until Writer.KeepAlive says that its time is over.
func (d *Dispatcher) OpenResumable(w Writer, p Protocol) *Outbox {
	r := &resumption{}
	r.first.Store(1)
	return d.openOutbox(w, p, r)
}

// Acknowledge records that the client has received the frames up to a number. The reader of the connection calls it. A
// number that no frame has does not count.
func (o *Outbox) Acknowledge(number uint64) {
	if r := o.resumption; r != nil && number > r.acked.Load() && number <= r.last.Load() {
		r.acked.Store(number)
	}
}

// Resumable reports whether another socket may take over: the outbox has not ended, and keeps every frame that the
// client has not acknowledged.
func (o *Outbox) Resumable() bool { return o.resumption != nil && o.resumption.complete() }

// Lost reports that the given socket is lost, counted from 0 in the order of Attach. It does nothing if another socket
// has taken over.
func (o *Outbox) Lost(socket uint64) {
	o.shard.inbox.put(&command{kind: commandLost, outbox: o, number: socket})
}

// Attach lets another socket take over. The socket before may still be open: the client has given it up.
func (o *Outbox) Attach(a Attachment) {
	if before := o.resumption.next.Swap(&a); before != nil {
		(*before).Refuse()
	}
	if !o.shard.inbox.put(&command{kind: commandAttach, outbox: o}) {
		o.resumption.refuseNext()
	}
}

func (r *resumption) complete() bool { return !r.end.Load() && r.acked.Load()+1 >= r.first.Load() }

func (r *resumption) refuseNext() {
	if a := r.next.Swap(nil); a != nil {
		(*a).Refuse()
	}
}

// forget drops the frames that the client has acknowledged.
func (o *Outbox) forget() {
	r := o.resumption
	n, freed, acked, first := 0, 0, r.acked.Load(), r.first.Load()
	for n < len(r.log) && first+uint64(n) <= acked {
		freed += r.log[n].size(o.protocol)
		n++
	}
	if n == 0 {
		return
	}
	r.first.Store(first + uint64(n))
	left := copy(r.log, r.log[n:])
	clear(r.log[left:])
	if r.log = r.log[:left]; left == 0 {
		r.log = nil
	}
	r.bytes -= freed
	o.shard.resumable.bytes -= freed
}

func (f *numbered) size(protocol Protocol) int {
	if f.broadcast != nil {
		return numberedBytes + len(f.broadcast.frame(protocol).Bytes)
	}
	return numberedBytes + len(f.frame)
}

// keep gives a frame the next number and keeps it. Beyond the bounds the outbox drops all frames that it keeps: the
// connection goes on, and can continue on another socket again once the client has acknowledged the dropped ones.
func (o *Outbox) keep(f numbered) {
	r := o.resumption
	if r == nil {
		return
	}
	s := o.shard
	if cap(r.log) == len(r.log) || r.bytes > s.options.Resume.Bytes/2 {
		o.forget()
	}
	size := f.size(o.protocol)
	r.log = append(r.log, f)
	r.last.Store(r.last.Load() + 1)
	r.bytes += size
	s.resumable.bytes += size
	total := s.options.Resume.TotalBytes / s.options.Shards
	if r.bytes > s.options.Resume.Bytes || r.bytes > (total-s.resumable.bytes+r.bytes)/freeParts {
		s.metrics.resumptions[resumptionOverflowed].Inc()
		o.dropLog()
	}
}

// keepLarge is keep for a frame that is a write of its own. It keeps a copy: once the socket has taken the frame, its
// memory serves other writes.
func (o *Outbox) keepLarge(frame []byte) {
	if o.resumption != nil {
		o.keep(numbered{frame: bytes.Clone(frame)})
	}
}

// dropLog drops the frames that the client has not acknowledged.
func (o *Outbox) dropLog() {
	r := o.resumption
	o.shard.resumable.bytes -= r.bytes
	r.first.Store(r.first.Load() + uint64(len(r.log)))
	r.log, r.bytes = nil, 0
}

// endResumption ends what the outbox has beyond its socket, when it ends.
func (o *Outbox) endResumption(reason EndReason) {
	r := o.resumption
	if r == nil {
		return
	}
	if r.detached {
		o.shard.metrics.resumptions[resumptionEnded].Inc()
		o.shard.resumable.detached--
	}
	r.end.Store(true)
	if r.undelivered > 0 {
		o.droppedSome(r.undelivered, dropReasonOf(reason), time.Now())
		r.undelivered = 0
	}
	o.dropLog()
	r.refuseNext()
}

// fail acts on the failure of a write with events. It ends the outbox, or detaches it.
func (o *Outbox) fail(events int, now time.Time) {
	if o.resumption != nil && o.state == outboxOpen && o.resumption.complete() {
		o.detach(events)
		return
	}
	if events > 0 {
		o.droppedSome(events, DropFailed, now)
	}
	o.shard.completeEnd(o, EndFailed)
}

// detach makes the outbox wait for another socket. Frames collect as behind a full one. events is the number of events
// in the log that the socket has not taken, beside those in buf.
func (o *Outbox) detach(events int) {
	s, r := o.shard, o.resumption
	r.undelivered += events + o.collected
	if o.buf != nil {
		s.buffers.put(o.buf)
		o.buf, o.collected = nil, 0
	}
	if !o.full {
		o.full = true
		s.fullOutboxes++
		o.waiting = &waiting{account: s.accounts.open(o.writer.Owner())}
	}
	o.moveAnswer(answerCollected, answerInFlight)
	o.writer.Lost()
	if r.detached {
		return
	}
	r.detached = true
	s.resumable.detached++
	s.metrics.resumptions[resumptionDetached].Inc()
	_, next, _ := o.writer.KeepAlive(time.Now())
	s.wheel.remove(o)
	s.wheel.add(o, s.ticks(next))
}

// lost acts on commandLost.
func (s *Shard) lost(o *Outbox, socket uint64) {
	r := o.resumption
	switch {
	case o.state == outboxEnded || r.sockets != socket || r.detached:
	case o.state == outboxOpen && r.complete():
		o.detach(0)
	default:
		s.completeEnd(o, EndFailed)
	}
}

// attach acts on commandAttach, and continues with the socket that waits once no write to the one before is under way.
func (s *Shard) attach(o *Outbox, now time.Time) {
	r := o.resumption
	if !r.detached && r.next.Load() == nil {
		return // of several sockets that came at once, the last one has taken over
	}
	if o.state != outboxOpen || !r.complete() {
		r.refuseNext()
		if o.state == outboxOpen {
			s.completeEnd(o, EndFailed)
		}
		return
	}
	if !r.detached {
		o.detach(0)
	}
	if o.inFlightBytes > 0 {
		return // drained comes back here
	}
	a := r.next.Swap(nil)
	if a == nil {
		return
	}
	(*a).Attach()
	r.detached = false
	r.sockets++
	s.resumable.detached--
	s.metrics.resumptions[resumptionResumed].Inc()
	o.waiting.restart(now)
	s.lagging.set(o, now)
	o.sendAgain(now)
}

// sendAgain sends the client the number of the first frame that follows, then all frames that it has not acknowledged,
// then those that wait.
func (o *Outbox) sendAgain(now time.Time) {
	s, r := o.shard, o.resumption
	o.forget()
	buf := append(s.buffers.get(), o.writer.Sequence(r.first.Load())...)
	for i := range r.log {
		if f := &r.log[i]; f.broadcast == nil {
			buf = append(buf, f.frame...)
		} else {
			buf = f.broadcast.frame(o.protocol).splice(buf, f.id)
		}
	}
	s.metrics.sentAgain.Add(float64(len(r.log)))
	delivered := r.undelivered
	r.undelivered = 0
	n, ok := s.write(o, buf)
	switch {
	case !ok:
		o.fail(delivered, now)
	case n < len(buf):
		o.writeLater(buf[n:], delivered)
	default:
		s.buffers.put(buf)
		o.writeWaiting(delivered, now)
	}
}

// restart makes the age of all frames count from now.
func (w *waiting) restart(now time.Time) {
	for i := w.head; i < len(w.queue); i++ {
		w.queue[i].since = now
	}
}

// resumable counts the outboxes of a shard that may continue on another socket.
type resumable struct {
	bytes, reportedBytes       int // memory of the frames that clients have not acknowledged
	detached, reportedDetached int // outboxes without a socket
}

func (r *resumable) report(m *metrics) {
	if r.bytes != r.reportedBytes {
		m.keptBytes.Add(float64(r.bytes - r.reportedBytes))
		r.reportedBytes = r.bytes
	}
	if r.detached != r.reportedDetached {
		m.detached.Add(float64(r.detached - r.reportedDetached))
		r.reportedDetached = r.detached
	}
}

// resumptionOutcome is a step in the life of outboxes that may continue on another socket.
type resumptionOutcome uint8

const (
	// resumptionDetached: the socket was lost.
	resumptionDetached resumptionOutcome = iota
	// resumptionResumed: another socket took over.
	resumptionResumed
	// resumptionEnded: the outbox ended without a socket.
	resumptionEnded
	// resumptionOverflowed: too much was not acknowledged; the outbox dropped what it had kept.
	resumptionOverflowed
	numResumptionOutcomes
)

// String returns the outcome as a metric label.
func (r resumptionOutcome) String() string {
	return [numResumptionOutcomes]string{"detached", "resumed", "ended", "overflowed"}[r]
}

// addResumptions adds the metrics of stateful reconnect.
func (m *metrics) addResumptions(auto promauto.Factory) {
	m.detached = auto.NewGauge(prometheus.GaugeOpts{
		Name: "rte_fanout_outboxes_detached", Help: "Outboxes that wait for another socket (stateful reconnect).",
	})
	m.keptBytes = auto.NewGauge(prometheus.GaugeOpts{
		Name: "rte_fanout_unacknowledged_bytes",
		Help: "Memory of the frames that clients with stateful reconnect have not acknowledged, in bytes.",
	})
	m.sentAgain = auto.NewCounter(prometheus.CounterOpts{
		Name: "rte_fanout_sent_again_total",
		Help: "Frames that a client got on another socket because it had not acknowledged them.",
	})
	resumptions := auto.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_fanout_resumptions_total",
		Help: "Outboxes with stateful reconnect that lost their socket (detached), continued on another one (resumed), " +
			"ended without one (ended), or dropped what the client had not acknowledged (overflowed).",
	}, []string{"outcome"})
	for r := range numResumptionOutcomes {
		m.resumptions[r] = resumptions.WithLabelValues(r.String())
	}
}
