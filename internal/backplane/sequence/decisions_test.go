package sequence_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/sequence"
	"github.com/rte-server/rte-server/internal/events"
)

var update = flag.Bool("update", false, "write testdata/decisions.txt")

const decisionsFile = "testdata/decisions.txt"

// TestLane_decidesAsRecorded repeats walks of a lane through faults of all kinds, and compares each decision with the
// recorded one. The other tests state what a lane guarantees; a guarantee allows many decisions, for instance an
// unnecessary read or a loss that did not happen. If you change a decision, review the difference, and then record it:
//
//	go test ./internal/backplane/sequence -run decidesAsRecorded -update
func TestLane_decidesAsRecorded(t *testing.T) {
	var got strings.Builder
	for seed := range uint64(120) {
		fmt.Fprintf(&got, "walk %d\n", seed)
		newWalk(seed, &got).run(50)
	}
	if *update {
		if err := os.WriteFile(decisionsFile, []byte(got.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(decisionsFile)
	if err != nil {
		t.Fatal(err)
	}
	if want := string(text); got.String() != want {
		diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got.String(), "\n"))
		t.Errorf("other decisions than recorded:\n%.4000s", diff)
	}
}

// walk is a lane, its server and its host, which writes what the lane decides.
type walk struct {
	sequence.Lane

	random *rand.Rand
	out    *strings.Builder
	now    time.Time
	states bool // the events are states

	server  backplane.Position // the last one
	behind  time.Duration      // of the server's clock
	journal []sequence.Message
	next    uint64             // number of the next event
	last    sequence.Message   // the latest one
	wire    []sequence.Message // published, not arrived
	peers   []events.Event     // what another node received
	era     *sequence.Era
	read    *sequence.Read

	decided []string // in this step
	state   string   // as written last
}

func newWalk(seed uint64, out *strings.Builder) *walk {
	w := &walk{
		random: rand.New(rand.NewPCG(seed, 1)), out: out, now: time.Unix(1000, 0).UTC(),
		states: seed%3 == 0,
	}
	w.Watch = []time.Duration{0, time.Second}[seed%2]
	if seed%5 > 0 { // else the lane knows nothing
		w.Start(w.now, backplane.Position{}, seed%5 > 1)
	}
	if seed%4 > 0 {
		w.warmUp(tier(w.random.IntN(2)))
	}
	return w
}

// warmUp lets the lane learn that its publishers write the journal.
func (w *walk) warmUp(how tier) {
	for range 70 {
		w.now = w.now.Add(100 * time.Millisecond)
		w.publish(how, true)
		w.receive()
	}
	w.now = w.now.Add(time.Minute)
	w.era = &sequence.Era{ServerTime: w.serverID(), At: w.now, Requested: w.now.Add(-20 * time.Millisecond)}
	w.publish(how, true)
	w.receive()
	if w.random.IntN(4) > 0 {
		w.audit()
	}
	w.journal = w.journal[len(w.journal)-w.random.IntN(9):]
}

// write notes a decision. Many equal ones are one.
func (w *walk) write(format string, values ...any) {
	text := fmt.Sprintf(format, values...)
	if n := len(w.decided); n > 2 && w.decided[n-1] == text && w.decided[n-2] == text {
		return
	}
	w.decided = append(w.decided, text)
}

func (w *walk) name(ev *events.Event) string {
	switch {
	case len(ev.Data) > 100:
		return "large"
	case ev.ID == (events.ID{}):
		return string(ev.Data)
	}
	return fmt.Sprint(ev.ID[7])
}

func (w *walk) Deliver(ev *events.Event) { w.write("deliver %s", w.name(ev)) }
func (w *walk) Plain(ev *events.Event)   { w.write("plain %s", w.name(ev)) }
func (w *walk) Read(ev *events.Event)    { w.write("decode %s", w.name(ev)) }
func (w *walk) Overflow()                { w.write("overflow") }

func (w *walk) Duplicate(kind sequence.DuplicateKind) { w.write("duplicate by %s", kind) }

func (w *walk) StateKey(ev *events.Event) (events.ID, bool) {
	return events.ID{ev.Topic.Entity[1]}, w.states
}

func (w *walk) Repaired(kind sequence.GapKind, delivered int, took time.Duration) {
	w.write("%s: %d in %s", kind, delivered, took)
}

func (w *walk) Lost(loss backplane.Loss) {
	from := "the beginning"
	if !loss.From.IsZero() {
		from = loss.To.Sub(loss.From).String()
	}
	w.write("lost %d by %s since %s", loss.Events, loss.Reason, from)
}

func (w *walk) serverID() backplane.StreamID {
	return backplane.StreamID{Milliseconds: uint64(w.now.Add(-w.behind).UnixMilli())}
}

// publish makes an event, adds it to the journal and to the wire.
func (w *walk) publish(how tier, arrives bool) {
	m := w.last
	if w.random.IntN(8) > 0 || w.next == 0 {
		w.next++
		m = sequence.Message{Event: events.Event{Data: fmt.Appendf(nil, `"%d"`, w.next)}}
		m.Event.ID = id(w.next - 1)
		m.Event.Topic.Entity = events.ID{byte(w.random.IntN(2)), byte(w.random.IntN(2))}
		switch w.random.IntN(12) {
		case 0:
			m.Event.ID, m.Event.Data = events.ID{}, fmt.Appendf(nil, `"text %d"`, w.random.IntN(3))
		case 1:
			m.Event = events.Event{} // no event
		}
	}
	w.last = m
	if how != plain {
		m.ID = w.serverID()
		if m.ID.Compare(w.server.ID) <= 0 {
			m.ID = w.server.ID
			m.ID.Sequence++
		}
		w.server.ID = m.ID
		if how == counted {
			w.server.N++
			m.N = w.server.N
		}
		w.journal = append(w.journal, m)
	}
	if m.N == 0 {
		m.Position = backplane.Position{}
		if m.Event.Data != nil {
			w.peers = append(w.peers, m.Event)
		}
	}
	if arrives {
		w.wire = append(w.wire, m)
	}
}

func (w *walk) receive() {
	if len(w.wire) == 0 {
		return
	}
	m := w.wire[0]
	w.wire = w.wire[1:]
	m.Era, m.Shared, m.Skimmed = w.era, true, m.Event.Data != nil && w.random.IntN(6) == 0
	buffer := slices.Clone(m.Event.Data)
	if m.Event.Data != nil {
		m.Event.Data = buffer
	}
	w.Live(w, w.now, &m)
	for i := range buffer {
		buffer[i] = 'x'
	}
}

func (w *walk) breaks() {
	b := sequence.Break{Era: w.era, Reason: backplane.LossOutage, Changed: w.random.IntN(3) == 0}
	switch w.random.IntN(4) {
	case 0:
		b.Era = nil
	case 1:
		b.Reason, b.Plain = backplane.LossOverflow, w.random.IntN(3)
	}
	w.wire = w.wire[min(len(w.wire), w.random.IntN(3)):]
	w.read = nil
	w.Broken(w.now, b)
}

func (w *walk) failover() {
	keep := max(0, len(w.journal)-w.random.IntN(4))
	w.journal = w.journal[:keep]
	w.server = backplane.Position{}
	for _, m := range w.journal {
		w.server = backplane.Position{N: max(w.server.N, m.N), ID: m.ID}
	}
	w.behind = time.Duration(w.random.IntN(9000)-4000) * time.Millisecond
	w.Broken(w.now, sequence.Break{Era: w.era, Reason: backplane.LossOutage, Changed: true})
}

func (w *walk) want() {
	if read, ok := w.Want(); ok {
		w.read = &read
		w.write("read %d after %s, peers %v: known %d since %s",
			read.Count, read.After, read.Peers, read.Known[7], read.Since)
	}
}

// answer answers the read that is under way, sometimes with an error, sometimes for an earlier repair.
func (w *walk) answer() {
	if w.read == nil {
		return
	}
	read := *w.read
	if w.random.IntN(12) == 0 {
		read.Generation--
	} else {
		w.read = nil
	}
	if read.Peers {
		from := len(w.peers) - w.random.IntN(min(len(w.peers), 6)+1)
		answer := sequence.Answer{
			Generation: read.Generation, Complete: w.random.IntN(3) > 0, Events: slices.Clone(w.peers[from:]),
		}
		w.Answer(w, w.now, &answer)
		return
	}
	p := &sequence.Page{Generation: read.Generation, Counter: w.server.N, Failed: w.random.IntN(15) == 0}
	for _, m := range w.journal {
		if m.ID.Compare(read.After) <= 0 {
			continue
		}
		if p.More = len(p.Entries) == 6; p.More || p.Failed {
			break
		}
		p.Entries = append(p.Entries, m)
	}
	w.Page(w, w.now, p)
}

func (w *walk) audit() {
	read, ok := w.Audit()
	if !ok {
		return
	}
	w.write("audit of %d", read.Count)
	p := &sequence.Page{Generation: read.Generation, Failed: w.random.IntN(10) == 0, Entries: slices.Clone(w.journal)}
	if w.random.IntN(10) == 0 {
		w.Broken(w.now, sequence.Break{Era: w.era, Reason: backplane.LossOutage})
	}
	w.Audited(w, w.now, p)
}

// flood lets more messages arrive than a lane holds back.
func (w *walk) flood() {
	how := tier(w.random.IntN(3))
	large := make([]byte, 64<<10)
	for range 80 {
		w.publish(how, true)
		w.wire[len(w.wire)-1].Event.Data = large
	}
	for len(w.wire) > 0 {
		w.receive()
	}
}

// step does one of the things that may happen.
func (w *walk) step() string {
	switch n := w.random.IntN(100); {
	case n < 14:
		w.publish(counted, true)
		return "counted"
	case n < 22:
		w.publish(journaled, true)
		return "journaled"
	case n < 27:
		w.publish(plain, true)
		return "plain"
	case n < 32:
		w.publish(tier(w.random.IntN(2)), false)
		return "journal only"
	case n < 52:
		w.receive()
		return "receive"
	case n < 64:
		w.want()
		return "want"
	case n < 76:
		w.answer()
		return "answer"
	case n < 82:
		w.era = &sequence.Era{ServerTime: w.serverID(), At: w.now, Requested: w.now.Add(-20 * time.Millisecond)}
		return "canary"
	case n < 88:
		w.breaks()
		return "break"
	case n < 90:
		w.failover()
		return "failover"
	case n < 92:
		w.journal = w.journal[min(len(w.journal), w.random.IntN(5)):]
		return "trim"
	case n < 96:
		w.audit()
		return "audit"
	case n < 97:
		w.Reset()
		w.Start(w.now, w.server, w.random.IntN(2) == 0)
		return "subscribe"
	case n < 98 && w.Repairing():
		w.flood()
		return "flood"
	default:
		w.now = w.now.Add([]time.Duration{4 * time.Second, 31 * time.Second, 6 * time.Minute}[w.random.IntN(3)])
		return "pause"
	}
}

// record takes a step, and writes it if the lane decided something or is in another state.
func (w *walk) record(do func() string) {
	w.decided = nil
	step := do()
	passed := w.Passed(backplane.Position{ID: w.serverID(), N: w.server.N})
	state := fmt.Sprintf("at %d", w.Last().N)
	for i, is := range []bool{w.Repairing(), w.Journaled(w.now), passed} {
		if is {
			state += []string{", repairing", ", trusting", ", passed"}[i]
		}
	}
	if len(w.decided) == 0 && state == w.state {
		return
	}
	w.state = state
	fmt.Fprintf(w.out, "%s: %s | %s\n", step, strings.Join(w.decided, ", "), state)
}

// run takes steps, and then waits until nothing is under way.
func (w *walk) run(steps int) {
	for range steps {
		w.now = w.now.Add(time.Duration(w.random.IntN(1500)) * time.Millisecond)
		w.record(w.step)
	}
	for turn := 0; turn < 40 && (w.Repairing() || len(w.wire) > 0); turn++ {
		w.record(func() string {
			w.receive()
			w.want()
			w.answer()
			return "settle"
		})
	}
}
