package peer

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/sequence"
	"github.com/rte-server/rte-server/internal/events"
)

// Answers were bounded by their number only, and each may have 16 MB. Then one lane could take the room of all others.
func TestExchange_answersAreBoundedInBytes(t *testing.T) {
	x := NewExchange(Options{Jitter: rand.N[time.Duration]})
	offer := func(lane string) {
		x.offer(&answer{lane: lane, parts: [][]byte{make([]byte, partBytes), make([]byte, partBytes)}})
	}
	const room = maxAnswerBytes / (2 * partBytes)
	for range room {
		offer("a")
	}
	if len(x.answers) != room/4 {
		t.Fatalf("%d answers of a lane are queued, want %d", len(x.answers), room/4)
	}
	for lane := range 5 * room / 4 {
		offer(strconv.Itoa(lane % 5))
	}
	if len(x.answers) != room || x.bytes != maxAnswerBytes {
		t.Fatalf("%d answers of %d bytes are queued, want %d", len(x.answers), x.bytes, room)
	}
	x.announced("a", Query{})
	if left := room - room/4; len(x.answers) != left || x.bytes != left*2*partBytes {
		t.Errorf("%d answers of %d bytes are queued, want %d", len(x.answers), x.bytes, left)
	}
}

// testLane is the name of a lane.
type testLane string

func (l testLane) Name() string { return string(l) }

// requester is an Exchange that runs, and what it publishes.
type requester struct {
	*Exchange
	missed func()

	mu         sync.Mutex
	published  []Query           // guarded by mu
	unanswered []sequence.Answer // guarded by mu
}

// results returns the queries, and the answers that no node knows the events, when nothing is under way.
func (a *requester) results() ([]Query, []sequence.Answer) {
	synctest.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.published, a.unanswered
}

// newRequester starts an Exchange that ends with the test. Call it in a synctest bubble.
func newRequester(t *testing.T) *requester {
	a := &requester{}
	a.Exchange = NewExchange(Options{
		Node: events.NewID().String(),
		Unanswered: func(_ Lane, answer sequence.Answer) {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.unanswered = append(a.unanswered, answer)
		},
		Subscribe: func(_ string, _ func([]byte), missed func()) func() bool {
			a.missed = missed
			return func() bool { return true }
		},
		Publish: func(_ context.Context, messages []Message) {
			a.mu.Lock()
			defer a.mu.Unlock()
			for i := range messages {
				var q Query
				if err := json.Unmarshal(bytes.TrimPrefix(messages[i].Payload, []byte{Mark}), &q); err != nil {
					t.Errorf("query %q: %v", messages[i].Payload, err)
				}
				a.published = append(a.published, q)
				messages[i].Receivers = 2
			}
		},
	})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a.Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
	synctest.Wait()
	return a
}

// answer lets a query pass on its lane, and an answer without events arrive. It reports whether the lane takes it.
func (a *requester) answer(c *Conversation, l Lane, q Query) bool {
	c.Message(a.Exchange, l, q.encode(), time.Now(), nil)
	p := &Part{part: part{Lane: l.Name(), Serial: q.Serial, By: "other", Last: true}}
	return c.Part(a.Exchange, l, p, nil) != nil
}

// The connection with the channel of the node hung longer than the one with the lane. So the answer to the first query
// went to a connection that was never read again, and the lane reported a loss, although another node had the events.
func TestExchange_queriesAgainWhenAnswersMayBeMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, l := newRequester(t), testLane("lane")
		var c Conversation
		since := backplane.StreamID{Milliseconds: 1}
		a.Query(l, sequence.Read{Peers: true, Since: since, Generation: 7})
		a.results()
		a.missed()
		queries, _ := a.results()
		if len(queries) != 2 {
			t.Fatalf("%d queries were published, want 2", len(queries))
		}
		first, second := queries[0], queries[1]
		if first.Serial == second.Serial || second.Since != since.String() {
			t.Errorf("queries %+v and %+v", first, second)
		}
		if a.answer(&c, l, first) {
			t.Error("the answer to the first query has events up to that query only")
		}
		if !a.answer(&c, l, second) {
			t.Error("the answer to the second query was not taken")
		}
		a.missed()
		time.Sleep(2 * patience)
		if queries, unanswered := a.results(); len(queries) != 2 || len(unanswered) != 0 {
			t.Errorf("%d queries, unanswered %+v", len(queries), unanswered)
		}
	})
}

// A channel whose connection ends again and again does not hold a lane up for ever.
func TestExchange_givesUpWhereAnswersAreMissedAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newRequester(t)
		a.Query(testLane("lane"), sequence.Read{Peers: true, Generation: 7})
		for range 4 * maxQueries {
			time.Sleep(patience / 4)
			a.missed()
		}
		if queries, unanswered := a.results(); len(queries) != maxQueries || len(unanswered) != 1 {
			t.Errorf("%d queries, unanswered %+v", len(queries), unanswered)
		}
	})
}

// A process that was stopped for longer than the patience had the answers in its sockets, and gave up before it read
// them.
func TestExchange_doesNotCountPauses(t *testing.T) {
	began := time.Now()
	for name, test := range map[string]struct{ turn, pause, want time.Duration }{
		"a tick":                {time.Millisecond, jitter / 4, time.Millisecond + jitter/4},
		"a command that hung":   {2 * time.Second, jitter / 4, 2*time.Second + jitter/4},
		"a process that paused": {time.Millisecond, time.Minute, time.Millisecond + maxPause},
	} {
		ended := began.Add(test.turn)
		if got := ran(began, ended, ended.Add(test.pause)); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

// Anyone who may publish on the channel of a node could make a lane collect parts of one answer without end, and queue
// parts for lanes that wait for none.
func TestExchange_boundsThePartsOfAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, l := newRequester(t), testLane("lane")
		received := 0
		a.options.Find = func(string) Lane { return l }
		a.options.Received = func(Lane, *Part) { received++ }
		var c Conversation
		a.Query(l, sequence.Read{})
		queries, _ := a.results()
		serial := queries[0].Serial
		for n := range 2 * maxParts {
			p := &Part{part: part{Lane: l.Name(), Serial: serial, By: "other", Number: n}, data: [][]byte{[]byte("{}")}}
			c.Part(a.Exchange, l, p, func(data []byte) (events.Event, bool) { return events.Event{Data: data}, true })
		}
		if len(c.events) != maxParts {
			t.Errorf("the lane collected %d parts, want %d", len(c.events), maxParts)
		}
		for _, number := range []uint64{serial, serial + 1, 0} {
			a.receive(encodeAnswer(part{Lane: l.Name(), Serial: number, By: "other"}, nil)[0])
		}
		if received != 1 {
			t.Errorf("%d parts reached the lane, want 1", received)
		}
	})
}

// Run finds the query or the answer that it was woken for, and is woken for each.
func TestExchange_wakesOnceThereIsWork(t *testing.T) {
	for name, queue := range map[string]func(x *Exchange){
		"Query":  func(x *Exchange) { x.Query(testLane("lane"), sequence.Read{}) },
		"Answer": func(x *Exchange) { x.offer(&answer{denial: true}) },
	} {
		t.Run(name, func(t *testing.T) {
			x := NewExchange(Options{})
			x.mu.Lock() // nothing can be queued
			queued := make(chan struct{})
			go func() {
				defer close(queued)
				queue(x)
			}()
			for range 1000 {
				runtime.Gosched()
			}
			if x.work.Clear() {
				t.Error("Run wakes before there is work")
			}
			x.mu.Unlock()
			<-queued
			if !x.work.Clear() {
				t.Error("Run does not wake")
			}
		})
	}
}

// Queries and answers have a bound each. A lane whose query is beyond it gets its answer at once.
func TestExchange_boundsWhatWaits(t *testing.T) {
	var unanswered []sequence.Answer
	x := NewExchange(Options{
		Unanswered: func(_ Lane, a sequence.Answer) { unanswered = append(unanswered, a) },
		Jitter:     func(time.Duration) time.Duration { return 0 },
	})
	for n := range maxWaiting + 2 {
		x.Query(testLane(strconv.Itoa(n)), sequence.Read{Generation: uint64(n)})
		x.offer(&answer{lane: strconv.Itoa(n)})
	}
	if len(x.queries) != maxWaiting || len(x.waiting) != maxWaiting || len(x.answers) != maxWaiting {
		t.Errorf("%d queries of %d lanes and %d answers wait", len(x.queries), len(x.waiting), len(x.answers))
	}
	if len(unanswered) != 2 || unanswered[1].Generation != maxWaiting+1 || unanswered[1].Complete {
		t.Errorf("unanswered %+v", unanswered)
	}
}
