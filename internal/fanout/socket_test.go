package fanout_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// resumeWindow is how long an outbox waits for another socket.
const resumeWindow = 15 * time.Second

// socket is a Writer that can be frozen and broken.
type socket struct {
	owner  fanout.Owner
	silent bool          // KeepAlive reports a silent peer
	takes  time.Duration // how long a write takes

	mu       sync.Mutex // guards the following fields
	changed  *sync.Cond
	received bytes.Buffer
	writes   int
	room     int // bytes it still takes; negative: no limit
	err      error
	lost     time.Time // of Lost; zero: it was not called
	ended    []fanout.EndReason
	onEnd    func()
	order    *[]*socket    // not nil: TryWrite appends the socket
	gate     chan struct{} // not nil: TryWrite blocks until it is closed
}

func newSocket() *socket {
	s := &socket{room: -1}
	s.changed = sync.NewCond(&s.mu)
	return s
}

func (*socket) Warm() {}

func (s *socket) TryWrite(p []byte) (int, error) {
	s.mu.Lock()
	gate := s.gate
	s.mu.Unlock()
	if gate != nil {
		<-gate
	}
	time.Sleep(s.takes)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	if s.order != nil {
		*s.order = append(*s.order, s)
	}
	return s.take(p), s.err
}

func (s *socket) take(p []byte) int {
	n := len(p)
	if s.room >= 0 {
		n = min(n, s.room)
		s.room -= n
	}
	if s.err == nil {
		s.received.Write(p[:n])
	}
	return n
}

func (s *socket) WriteAll(p []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(p) > 0 && s.err == nil && len(s.ended) == 0 {
		n := s.take(p)
		p = p[n:]
		if n == 0 {
			s.changed.Wait()
		}
	}
	if len(p) > 0 && s.err == nil {
		return errors.New("closed")
	}
	return s.err
}

func (s *socket) KeepAlive(now time.Time) ([]byte, time.Duration, bool) {
	s.mu.Lock()
	lost := s.lost
	s.mu.Unlock()
	if !lost.IsZero() {
		left := lost.Add(resumeWindow).Sub(now)
		return nil, left, left > 0
	}
	return []byte("ping\n"), 15 * time.Second, !s.silent
}

func (s *socket) Final(reason fanout.EndReason) []byte {
	return []byte("final " + reason.String() + "\n")
}

func (s *socket) Lost() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = errors.New("closed")
	if s.lost.IsZero() {
		s.lost = time.Now()
	}
	s.changed.Broadcast()
}

func (s *socket) Sequence(number uint64) []byte { return fmt.Appendf(nil, "sequence %d\n", number) }

func (s *socket) Owner() fanout.Owner { return s.owner }

func (s *socket) Ended(reason fanout.EndReason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = append(s.ended, reason)
	if s.onEnd != nil {
		s.onEnd()
	}
	s.changed.Broadcast()
}

// hold blocks the shard in its next write until the returned function is called.
func (s *socket) hold() (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gate = make(chan struct{})
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		close(s.gate)
		s.gate = nil
	}
}

// freeze makes the socket full after room more bytes; a negative room thaws it.
func (s *socket) freeze(room int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.room = room
	s.changed.Broadcast()
}

func (s *socket) fail() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = errors.New("broken pipe")
	s.changed.Broadcast()
}

// contains reports whether the socket has received text since lines was called.
func (s *socket) contains(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Contains(s.received.Bytes(), []byte(text))
}

// lines returns the lines that the socket has received since the last call.
func (s *socket) lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := s.received.String()
	s.received.Reset()
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// count returns how often the socket has received text since lines was called.
func (s *socket) count(text string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Count(s.received.Bytes(), []byte(text))
}

func (s *socket) ends() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprint(s.ended)
}

// lineEncoder makes frames that are lines: id, space, entity number, space, data.
type lineEncoder struct{ prefix string }

func (e lineEncoder) Encode(ev *events.Event) (fanout.Frame, error) {
	if string(ev.Data) == "malformed" {
		return fanout.Frame{}, events.ErrMalformed
	}
	frame := append([]byte(e.prefix), make([]byte, 36)...)
	frame = fmt.Appendf(frame, " %d %s\n", ev.Entity[0], ev.Data)
	return fanout.Frame{Bytes: frame, IDOffset: len(e.prefix)}, nil
}

// rig is a running dispatcher.
type rig struct {
	*fanout.Dispatcher
	metrics *prometheus.Registry
}

// run runs test in fake time with a dispatcher whose state events are those of type 2, keyed by their data up to
// the first comma.
func run(t *testing.T, o fanout.Options, test func(t *testing.T, r *rig)) {
	t.Helper()
	if o.Shards != 1 {
		// In fake time, shards that find a timer due at the same moment share what Go's race detector knows of timers,
		// without a lock (runtime.timer.unlockAndRun of Go 1.26), and the process can die of it. One processor runs
		// them one after the other.
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	}
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, o)
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() {
			if err := r.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		defer running.Wait()
		defer stop()
		test(t, r)
	})
}

func newRig(t testing.TB, o fanout.Options) *rig {
	t.Helper()
	r := &rig{metrics: prometheus.NewRegistry()}
	o.Registerer = r.metrics
	o.JSON = lineEncoder{}
	if o.MessagePack == nil {
		o.MessagePack = lineEncoder{"m"}
	}
	o.State = func(ev *events.Event) (key events.ID, ok bool) {
		name, _, _ := strings.Cut(string(ev.Data), ",")
		copy(key[:], name)
		return key, ev.Type == 2
	}
	o.Expires = func(ev *events.Event) time.Time {
		if ev.TTLSeconds <= 0 {
			return time.Time{}
		}
		return ev.Timestamp.Add(time.Duration(ev.TTLSeconds) * time.Second)
	}
	var err error
	if r.Dispatcher, err = fanout.New(o); err != nil {
		t.Fatal(err)
	}
	return r
}

// subscribe subscribes an outbox to a topic.
func (r *rig) subscribe(o *fanout.Outbox, topic events.Topic) (*fanout.Entry, events.ID) {
	s := o.Acquire(topic)
	o.Apply(fanout.Change{Add: []fanout.Subscription{s}})
	return s.Entry, s.ID
}

func (r *rig) publish(topic events.Topic, data string) {
	r.Dispatch(&events.Event{Topic: topic, Data: []byte(data)})
}

// metric returns the value of a counter or gauge; label is the value of its label, empty for none.
func (r *rig) metric(t *testing.T, name, label string) float64 {
	t.Helper()
	families, err := r.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if label == "" || m.GetLabel()[0].GetValue() == label {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no metric %s{%s}", name, label)
	return 0
}

func callTopic(n int) events.Topic  { return events.Topic{Entity: events.ID{byte(n)}, Type: 1} }
func stateTopic(n int) events.Topic { return events.Topic{Entity: events.ID{byte(n)}, Type: 2} }

func line(id events.ID, entity int, data string) string {
	return id.String() + " " + strconv.Itoa(entity) + " " + data
}

// full returns a full socket, with an outbox that subscribes to a topic and has an event of it in flight.
func (r *rig) full(topic events.Topic, inFlight string) (s *socket, o *fanout.Outbox, e *fanout.Entry, id events.ID) {
	s = newSocket()
	o = r.Open(s, fanout.ProtocolJSON)
	e, id = r.subscribe(o, topic)
	s.freeze(0)
	r.publish(topic, inFlight)
	synctest.Wait()
	return s, o, e, id
}
