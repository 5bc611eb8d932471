package history

import (
	"fmt"
	"slices"
	"time"
)

// flight is the time that an event may be on its way when a calm phase ends.
const flight = 5 * time.Second

// checker compares a history with the promise.
type checker struct {
	history *History
	report  *Report
	byID    map[string]*Event
	byTopic map[Topic][]*Event // by number
	clients map[string]*Client
	notices []*Record // of all connections, of lost events
}

// Check compares a history with the promise. It does not change the history.
func Check(h *History) *Report {
	c := &checker{
		history: h, report: &Report{},
		byID: map[string]*Event{}, byTopic: map[Topic][]*Event{}, clients: map[string]*Client{},
	}
	for _, p := range h.Phases {
		c.report.Rows = append(c.report.Rows, Row{
			Phase: p.Name, Noticed: map[string]int{}, Reloaded: map[string]int{}, Found: map[Violation]int{},
		})
	}
	for i := range h.Clients {
		c.clients[h.Clients[i].Name] = &h.Clients[i]
	}
	for _, e := range h.Events {
		c.byID[e.ID] = e
		c.byTopic[e.Topic] = append(c.byTopic[e.Topic], e)
		if e.Acknowledged {
			c.row(e.Begin).Acknowledged++
		}
	}
	for _, list := range c.byTopic {
		slices.SortFunc(list, func(a, b *Event) int { return a.Number - b.Number })
	}
	for _, conn := range h.Connections {
		for i := range conn.Records {
			if conn.Records[i].Kind == Lost {
				c.notices = append(c.notices, &conn.Records[i])
			}
		}
	}
	for _, conn := range h.Connections {
		c.checkConnection(conn)
	}
	for _, s := range h.States {
		c.checkState(s)
	}
	return c.report
}

// phase returns the index of the phase of a moment.
func (c *checker) phase(at time.Duration) int {
	n := 0
	for i, p := range c.history.Phases {
		if p.From <= at {
			n = i
		}
	}
	return n
}

// row returns the row of a moment.
func (c *checker) row(at time.Duration) *Row { return &c.report.Rows[c.phase(at)] }

// calm reports whether nothing went wrong while an event was on its way.
func (c *checker) calm(e *Event) bool {
	n := c.phase(e.Begin)
	end := c.history.End
	if n+1 < len(c.history.Phases) {
		end = c.history.Phases[n+1].From - flight
	}
	return c.history.Phases[n].Calm && e.End < end
}

// add adds a finding about an event, or, without an event, about a moment.
func (c *checker) add(v Violation, conn *Connection, e *Event, at time.Duration, format string, args ...any) {
	if e != nil {
		at = e.Begin
	}
	row := c.row(at)
	row.Found[v]++
	f := Finding{Violation: v, Phase: row.Phase, Event: e, Text: fmt.Sprintf(format, args...)}
	if conn != nil {
		f.Client, f.Connection = conn.Client, conn.Number
	}
	c.report.Findings = append(c.report.Findings, f)
}

// checkState compares a last state with the events that had been acknowledged before it was requested.
func (c *checker) checkState(s State) {
	var last *Event
	for _, e := range c.byTopic[s.Topic] {
		if e.Acknowledged && e.End < s.Requested {
			last = e
		}
	}
	if last != nil && s.Number < last.Number {
		c.add(Stale, nil, last, 0, "a client that subscribed at %.3f s got the state %d, but the last one was %s",
			s.Requested.Seconds(), s.Number, last)
	}
}

// right returns the right of a client to a topic, nil if it never had one. Of several it returns the one in force at
// that moment, or the last one.
func (c *checker) right(client *Client, topic Topic, at time.Duration) (found *Right) {
	for i := range client.Rights {
		if r := &client.Rights[i]; r.Topic == topic {
			found = r
			if r.Gone == 0 || at < r.Gone {
				return r
			}
		}
	}
	return found
}
