package audit

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rte-server/rte-server/test/audit/history"
)

// recorder collects a history. Its methods may be called from any goroutine.
type recorder struct {
	start time.Time
	// skew is the difference of the clock of a node to that of the machine, in nanoseconds, from the moment at which it
	// was set until the end of the phase.
	skew atomic.Int64

	mu        sync.Mutex
	log       history.History       // guarded by mu; without events
	events    []history.Event       // guarded by mu
	forgotten int                   // guarded by mu; the number of events before those
	opened    map[string]int        // guarded by mu; the number of connections of each client
	number    map[history.Topic]int // guarded by mu; the number of the next event
}

func newRecorder(limits history.Limits) *recorder {
	return &recorder{
		start: time.Now(), log: history.History{Limits: limits}, number: map[history.Topic]int{}, opened: map[string]int{},
	}
}

// now returns the current moment of the history.
func (r *recorder) now() time.Duration { return time.Since(r.start) }

// moment returns the moment of a time of the wall clock, nil for nil.
func (r *recorder) moment(t *time.Time) *time.Duration {
	if t == nil {
		return nil
	}
	at := t.Sub(r.start.Round(0)) // without the monotonic clock
	return &at
}

// shifted returns a moment by a clock that is off, as one of the history; nil for nil.
func shifted(at *time.Duration, skew time.Duration) *time.Duration {
	if at == nil {
		return nil
	}
	moved := *at - skew
	return &moved
}

// phase begins a phase.
func (r *recorder) phase(name string, calm bool) {
	r.skew.Store(0)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log.Phases = append(r.log.Phases, history.Phase{Name: name, From: r.now(), Calm: calm})
}

// add adds a client. It replaces one of the same name.
func (r *recorder) add(c history.Client) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log.Clients = slices.DeleteFunc(r.log.Clients, func(old history.Client) bool { return old.Name == c.Name })
	r.log.Clients = append(r.log.Clients, c)
}

// ending records that the end of rights is about to be requested: of a client and a topic; zero: of all.
func (r *recorder) ending(client string, topic history.Topic) {
	r.change(client, topic, 0, func(right *history.Right) { right.Until, right.Gone = r.now(), requested })
}

// ended records that the end of rights is in force.
func (r *recorder) ended(client string, topic history.Topic) {
	r.change(client, topic, requested, func(right *history.Right) { right.Gone = r.now() })
}

// requested is the Gone of a right whose end has been requested, but is not in force.
const requested time.Duration = 1 << 62

// change changes rights with that Gone, so that those that ended before stay as they are: of a client and a topic;
// zero: of all.
func (r *recorder) change(client string, topic history.Topic, gone time.Duration, change func(*history.Right)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.log.Clients {
		c := &r.log.Clients[i]
		for j := range c.Rights {
			right := &c.Rights[j]
			if (client == "" || client == c.Name) && (topic == history.Topic{} || topic == right.Topic) && right.Gone == gone {
				change(right)
			}
		}
	}
}

// grant gives the clients that had a right to a topic the same right again.
func (r *recorder) grant(topic history.Topic) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.log.Clients {
		c := &r.log.Clients[i]
		if slices.ContainsFunc(c.Rights, func(right history.Right) bool { return right.Topic == topic }) {
			c.Rights = append(c.Rights, history.Right{Topic: topic})
		}
	}
}

// connection adds a connection of a client whose token expires at that moment; 0: never.
func (r *recorder) connection(client string, expires time.Duration) *history.Connection {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.opened[client]++
	conn := &history.Connection{Client: client, Number: r.opened[client], Expires: expires}
	r.log.Connections = append(r.log.Connections, conn)
	return conn
}

// connections returns the number of connections so far of clients whose name begins like this.
func (r *recorder) connections(name string) (number int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for client, opened := range r.opened {
		if strings.HasPrefix(client, name) {
			number += opened
		}
	}
	return number
}

// note adds a record of a connection.
func (r *recorder) note(conn *history.Connection, record history.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	record.At = r.now()
	conn.Records = append(conn.Records, record)
}

// publishing adds an event that is about to be sent.
func (r *recorder) publishing(topic history.Topic, tier, id, state string) (index, number int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	number = r.number[topic]
	r.number[topic]++
	r.events = append(r.events, history.Event{
		ID: id, Topic: topic, Number: number, Tier: tier, State: state, Begin: r.now(),
	})
	return r.forgotten + len(r.events) - 1, number
}

// published records the outcome of an event.
func (r *recorder) published(index int, acknowledged bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := &r.events[index-r.forgotten]
	e.End, e.Acknowledged = r.now(), acknowledged
}

// state adds a last state.
func (r *recorder) state(s history.State) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log.States = append(r.log.States, s)
}

// forget drops what happened before a moment, except what the rest needs. All events of that time must have been
// checked.
func (r *recorder) forget(before time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for n < len(r.events) && r.events[n].End > 0 && r.events[n].End < before {
		n++
	}
	r.events, r.forgotten = slices.Clone(r.events[n:]), r.forgotten+n
	for len(r.log.Phases) > 1 && r.log.Phases[1].From <= before {
		r.log.Phases = slices.Delete(r.log.Phases, 0, 1)
	}
	r.log.States = slices.DeleteFunc(r.log.States, func(s history.State) bool { return s.Requested < before })
	r.log.Connections = slices.DeleteFunc(r.log.Connections, func(c *history.Connection) bool {
		c.Forget(before)
		return len(c.Records) > 0 && c.Records[0].Kind == history.Closed && c.Records[0].At < before
	})
}

// history returns what was recorded, as far as it concerns events that were acknowledged before a moment.
func (r *recorder) history(end time.Duration) *history.History {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.log
	h.End = end
	h.Clients = nil
	for _, c := range r.log.Clients {
		c.Rights = slices.Clone(c.Rights)
		h.Clients = append(h.Clients, c)
	}
	h.Connections = nil
	for _, c := range r.log.Connections {
		conn := *c // the records so far do not change
		h.Connections = append(h.Connections, &conn)
	}
	events := slices.Clone(r.events)
	for i := range events {
		h.Events = append(h.Events, &events[i])
	}
	return &h
}
