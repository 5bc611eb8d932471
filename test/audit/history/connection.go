package history

import (
	"fmt"
	"slices"
	"time"
)

// window is the life of one subscription.
type window struct {
	topic     Topic
	requested time.Duration // before Subscribe was sent
	opened    time.Duration // when its answer had arrived
	ended     time.Duration // before Unsubscribe was sent, or at the end of the connection
	over      bool          // ended counts
	how       string        // its end, for people
	numbers   []int         // of the events that arrived, sorted when the window is checked
	last      int           // the last of them, as they arrived; -1: none
	journaled int           // the last of them with a journal; -1: none
	plain     int           // the last of them without one; -1: none
}

// walk is one way through the records of a connection.
type walk struct {
	*checker
	conn   *Connection
	client *Client

	pending map[Topic]time.Duration // requested, without an answer
	active  map[Topic]*window
	leaving map[Topic]*window // Unsubscribe was sent, without an answer
	windows []*window
	seen    map[string]bool
	losses  []*Record
	moved   []move
	arrived []arrival
}

// arrival is an event that came.
type arrival struct {
	event *Event
	at    time.Duration
}

// move is an event that came behind a later one of its topic.
type move struct {
	win   *window
	event *Event
	at    time.Duration
	after int // the number of the other event
}

// checkConnection compares the records of a connection with the events.
func (c *checker) checkConnection(conn *Connection) {
	client := c.clients[conn.Client]
	if client == nil {
		c.add(Foreign, conn, nil, 0, "the history has no such client")
		return
	}
	w := &walk{
		checker: c, conn: conn, client: client, pending: map[Topic]time.Duration{}, active: map[Topic]*window{},
		leaving: map[Topic]*window{}, seen: map[string]bool{},
	}
	for i := range conn.Records {
		w.step(&conn.Records[i])
	}
	for _, win := range w.windows {
		w.checkWindow(win)
	}
	for _, m := range w.moved {
		// The server promises no order for an event acknowledged before the answer of Subscribe: the node may read such
		// an event from the journal. A client that reloads is excused only where others got a notice.
		if m.event.End <= m.win.opened || w.noticed(m.event) || w.reloaded(m.win, m.event) && noticed(w.notices, m.event) {
			w.row(m.event.Begin).Moved++
			continue
		}
		w.add(Disordered, conn, m.event, 0, "%s came at %.3f s, after number %d. %s",
			m.event, m.at.Seconds(), m.after, w.explain(m.win, m.event))
	}
}

// step takes the next record.
func (w *walk) step(r *Record) {
	switch r.Kind {
	case Subscribing:
		for _, topic := range r.Topics {
			w.pending[topic] = r.At
		}
	case Subscribed:
		for _, topic := range r.Topics {
			w.open(topic, r.At)
		}
	case Unsubscribing:
		for _, topic := range r.Topics {
			if win := w.active[topic]; win != nil {
				win.ended, win.how, w.leaving[topic] = r.At, "Unsubscribe", win
			}
		}
	case Unsubscribed:
		for _, topic := range r.Topics {
			if win := w.leaving[topic]; win != nil {
				win.over = true
				delete(w.active, topic)
				delete(w.leaving, topic)
			}
		}
	case Ended:
		for _, topic := range r.Topics {
			w.end(topic, r)
		}
	case Lost:
		w.losses = append(w.losses, r)
	case Received:
		w.receive(r)
	case Closed:
		w.row(r.At).Closed++
		for _, win := range w.active {
			if w.leaving[win.topic] == nil {
				win.ended, win.how = r.At, "the end of the connection"
			}
			win.over = true
		}
		clear(w.active)
	}
}

// open opens a subscription.
func (w *walk) open(topic Topic, at time.Duration) {
	requested, ok := w.pending[topic]
	if !ok {
		requested = at
	}
	delete(w.pending, topic)
	right := w.right(w.client, topic, at)
	if right == nil || right.Gone > 0 && requested > right.Gone+w.history.Limits.Force {
		w.add(Unauthorized, w.conn, nil, at, "Subscribe granted %s at %.3f s", topic, at.Seconds())
	}
	if w.active[topic] != nil {
		return
	}
	win := &window{topic: topic, requested: requested, opened: at, last: -1, journaled: -1, plain: -1}
	w.active[topic] = win
	w.windows = append(w.windows, win)
}

// end ends a subscription by the server.
func (w *walk) end(topic Topic, r *Record) {
	win := w.active[topic]
	if win == nil {
		return
	}
	if right := w.right(w.client, topic, win.opened); right != nil && (right.Gone == 0 || r.At < right.Until) {
		w.add(Dropped, w.conn, nil, r.At, "%s ended at %.3f s (%s)", topic, r.At.Seconds(), r.Reason)
	}
	win.ended, win.over, win.how = r.At, true, "the server ended it"
	delete(w.active, topic)
	delete(w.leaving, topic)
}

// receive takes an event that arrived.
func (w *walk) receive(r *Record) {
	topic := r.Topics[0]
	e := w.byID[r.ID]
	if e == nil || e.Topic != topic || e.Number != r.Number {
		w.add(Foreign, w.conn, nil, r.At, "id %s, number %d of %s came at %.3f s; no publisher sent that",
			r.ID, r.Number, topic, r.At.Seconds())
		return
	}
	w.arrived = append(w.arrived, arrival{e, r.At})
	switch right := w.right(w.client, topic, e.Begin); {
	case right == nil:
		w.add(Unauthorized, w.conn, e, 0, "%s came at %.3f s without a right", e, r.At.Seconds())
	case right.Gone > 0 && e.Begin > right.Gone+w.history.Limits.Force:
		w.add(Unauthorized, w.conn, e, 0, "%s came at %.3f s; the right had ended at %.3f s",
			e, r.At.Seconds(), right.Gone.Seconds())
	case w.conn.Expires > 0 && e.Begin > w.conn.Expires+w.history.Limits.Force:
		w.add(Unauthorized, w.conn, e, 0, "%s came at %.3f s; the token had expired at %.3f s",
			e, r.At.Seconds(), w.conn.Expires.Seconds())
	}
	win := w.active[topic]
	if _, pending := w.pending[topic]; win == nil && pending && !w.client.Wire {
		w.open(topic, r.At) // its answer is recorded later
		win = w.active[topic]
	}
	switch {
	case win == nil && !slices.ContainsFunc(w.windows, func(win *window) bool { return win.topic == topic }):
		w.add(Foreign, w.conn, e, 0, "%s came at %.3f s without a subscription", e, r.At.Seconds())
	case win == nil:
		w.add(Late, w.conn, e, 0, "%s came at %.3f s, after the end of the subscription", e, r.At.Seconds())
	case w.seen[e.ID] && (!w.client.Snapshot || win.last >= 0):
		w.add(Duplicated, w.conn, e, 0, "%s came again at %.3f s", e, r.At.Seconds())
	case e.Number < w.before(win, e) && e.Acknowledged: // others may have been carried out at any time
		w.moved = append(w.moved, move{win, e, r.At, w.before(win, e)})
	}
	if win != nil {
		last := &win.journaled
		if e.Tier == Plain {
			last = &win.plain
		}
		*last, win.last = max(*last, e.Number), max(win.last, e.Number)
		win.numbers = append(win.numbers, e.Number)
	}
	w.seen[e.ID] = true
}

// before returns the number of the last event that must have come before an event. A node that repairs a gap reads the
// journal first, so events without a journal may come behind others.
func (w *walk) before(win *window, e *Event) int {
	switch {
	case w.calm(e):
		return win.last
	case e.Tier == Plain:
		return win.plain
	default:
		return win.journaled
	}
}

// checkWindow looks for events that a subscription should have brought.
func (w *walk) checkWindow(win *window) {
	slices.Sort(win.numbers)
	end := w.history.End
	if win.over || win.ended > 0 {
		end = win.ended
	}
	for _, e := range w.byTopic[win.topic] {
		if !e.Acknowledged || e.Begin <= win.opened || e.End >= end {
			continue
		}
		if right := w.right(w.client, e.Topic, e.Begin); right == nil || right.Gone > 0 && e.End >= right.Until {
			continue
		}
		row := w.row(e.Begin)
		row.Expected++
		if _, ok := slices.BinarySearch(win.numbers, e.Number); ok {
			row.Delivered++
			continue
		}
		if w.replaced(win, e) {
			row.Replaced++
			continue
		}
		noticed, reloaded := w.noticed(e), w.reloaded(win, e)
		switch {
		case reloaded && (!noticed || e.Number > win.last): // in flight at the end, whatever a notice covers
			row.Reloaded[e.Tier]++
		case noticed:
			row.Noticed[e.Tier]++
			if e.Tier != Plain && w.inDoubt(win, e) {
				row.InDoubt++
			}
		default:
			w.add(Missing, w.conn, e, 0, "%s did not come. %s", e, w.explain(win, e))
		}
	}
}

// replaced reports whether a newer state has replaced a missing one. The server may do so only while the client lags:
// an event at least as old as the missing one was still on its way when the newer state was published.
func (w *walk) replaced(win *window, e *Event) bool {
	if e.State == "" {
		return false
	}
	events := w.byTopic[win.topic]
	first, _ := slices.BinarySearch(win.numbers, e.Number)
	for _, number := range win.numbers[first:] {
		i, ok := slices.BinarySearchFunc(events, number, func(e *Event, number int) int { return e.Number - number })
		if ok && events[i].State == e.State {
			return slices.ContainsFunc(w.arrived, func(a arrival) bool {
				return a.event.Begin <= e.Begin && a.at >= events[i].Begin
			})
		}
	}
	return false
}

// noticed reports whether a notice covers a missing event.
func (w *walk) noticed(e *Event) bool { return noticed(w.losses, e) }

// noticed reports whether one of the notices covers an event.
func noticed(losses []*Record, e *Event) bool {
	return slices.ContainsFunc(losses, func(loss *Record) bool { return covers(loss, e) })
}

// inDoubt reports whether the loss of an event began no later than its subscription: the node granted that while Redis
// was away.
func (w *walk) inDoubt(win *window, e *Event) bool {
	return slices.ContainsFunc(w.losses, func(loss *Record) bool {
		return covers(loss, e) && loss.From != nil && *loss.From <= win.opened
	})
}

// reloaded reports whether the end of the subscription makes the client fetch a missing event.
func (w *walk) reloaded(win *window, e *Event) bool {
	if !win.over || win.ended-e.End > w.history.Limits.Reload {
		return false
	}
	return !w.calm(e) || e.Number > win.last
}

// covers reports whether a notice covers an event.
func covers(loss *Record, e *Event) bool {
	named := slices.Contains(loss.Topics, e.Topic) ||
		loss.All && slices.ContainsFunc(loss.Topics, func(t Topic) bool { return t.Organization == e.Topic.Organization })
	return named && loss.At >= e.Begin &&
		(loss.From == nil || *loss.From <= e.End) && (loss.To == nil || e.Begin <= *loss.To)
}

// explain describes what the client knows about the place of a missing event.
func (w *walk) explain(win *window, e *Event) string {
	text := fmt.Sprintf("The client had subscribed at %.3f s", win.opened.Seconds())
	if win.over {
		text += fmt.Sprintf(" until %.3f s (%s)", win.ended.Seconds(), win.how)
	}
	i, _ := slices.BinarySearch(win.numbers, e.Number)
	if i > 0 {
		text += fmt.Sprintf("; the event before was number %d", win.numbers[i-1])
	}
	if i < len(win.numbers) {
		text += fmt.Sprintf("; the event behind was number %d", win.numbers[i])
	} else {
		text += "; no later event came"
	}
	if len(w.losses) == 0 {
		return text + "; it got no notice of lost events."
	}
	text += "; its notices were"
	for _, loss := range w.losses[max(0, len(w.losses)-5):] {
		text += fmt.Sprintf(" [%s to %s at %.3f s, %d topics, %s]",
			moment(loss.From), moment(loss.To), loss.At.Seconds(), len(loss.Topics), loss.Reason)
	}
	return text + "."
}

// moment returns a bound of an interval for people.
func moment(at *time.Duration) string {
	if at == nil {
		return "?"
	}
	return fmt.Sprintf("%.3f s", at.Seconds())
}
