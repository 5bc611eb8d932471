package fanout_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rte-server/rte-server/internal/events"
)

// check audits the dispatcher, and compares its number of deliveries with the model.
func (l *life) check() {
	l.calm()
	if found := l.Audit(); len(found) > 0 {
		l.t.Fatal(strings.Join(found, "\n"))
	}
	underWay, ok := l.UnderWay()
	n := l.counted()
	if made := n["deliveries"] + n["dropped"] + float64(underWay); ok && !l.quota {
		want(l.t, made, l.due+n["replays sent"])
	}
	gauges := l.Gauges()
	for name, value := range gauges {
		if n[name] != value {
			l.t.Errorf("%s: %v, want %v", name, n[name], value)
		}
	}
	want(l.t, n["detached"]-n["resumed"]-n["ended"], gauges["rte_fanout_outboxes_detached"])
	if l.t.Failed() {
		l.t.FailNow()
	}
}

// checkClients compares what clients have received with the model.
func (l *life) checkClients() {
	subscribers, counted := map[events.Topic]int{}, map[events.Topic]int{}
	for _, c := range l.clients {
		if c.s.ends() == "[]" {
			c.read(whole(c.s, nil))
		}
		for topic := range c.has {
			subscribers[topic]++
		}
		l.checkEnd(c)
		l.checkLines(c)
	}
	l.EachTopic(func(topic events.Topic, n int) bool {
		counted[topic] = n
		return true
	})
	want(l.t, counted, subscribers)
}

// counted returns metrics by their names, and some by what they count.
func (l *life) counted() map[string]float64 {
	families, err := l.metrics.Gather()
	if err != nil {
		l.t.Fatal(err)
	}
	n := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			value := m.GetCounter().GetValue() + m.GetGauge().GetValue()
			switch f.GetName() {
			case "rte_fanout_deliveries_total":
				n["deliveries"] += value
			case "rte_fanout_dropped_total":
				n["dropped"] += value
			case "rte_fanout_replays_total":
				n["replays "+m.GetLabel()[0].GetValue()] = value
			case "rte_fanout_resumptions_total":
				n[m.GetLabel()[0].GetValue()] = value
			default:
				n[f.GetName()] += value
			}
		}
	}
	return n
}

// checkEnd checks that an outbox ended for a reason that there was.
func (l *life) checkEnd(c *lifeClient) {
	switch ends := c.s.ends(); {
	case ends == "[]":
	case ends == "[slow]" && (c.slowed || c.broken):
	case ends == "[failed]" && c.broken && (!c.resumable || l.counted()["overflowed"] > 0):
	case ends == "[silent]" && c.resumable && c.broken:
	default:
		l.t.Errorf("an outbox ended: %s", ends)
	}
}

// checkLines compares what a client has received with what it must have received: nothing of another subscription,
// nothing twice, nothing out of order, and nothing is missing once it reads again.
func (l *life) checkLines(c *lifeClient) {
	var control, pongs []string
	got := map[string][]string{}
	for _, line := range c.lines {
		switch fields := strings.Fields(line); fields[0] {
		case "answer", "removed", "notice":
			control = append(control, line)
		case "pong":
			pongs = append(pongs, line)
		case "final":
		default:
			id, ok := strings.CutPrefix(fields[0], c.prefix)
			if !ok {
				l.t.Fatalf("line %q does not begin with %q", line, c.prefix)
			}
			got[id] = append(got[id], fields[2])
		}
	}
	complete := c.outbox.Takes() && c.outbox.Waiting() == 0 && !c.away && !c.ignores
	if complete {
		want(l.t, control, c.control)
	}
	if !c.broken && complete {
		want(l.t, pongs, c.pongs)
	}
	if c.calls == c.answered && c.outbox.Takes() && !c.broken && c.calls > 0 {
		answer := fmt.Sprintf("answer %dw", c.calls)
		taken := slices.ContainsFunc(control, func(line string) bool { return strings.HasPrefix(line+"w", answer) })
		want(l.t, taken, true) // else the call was reported as answered too early
	}
	for _, sub := range c.all {
		l.checkSubscription(c, sub, got[sub.ID.String()], complete)
		delete(got, sub.ID.String())
	}
	want(l.t, len(got), 0)
}

func (l *life) checkSubscription(c *lifeClient, sub *lifeSubscription, got []string, complete bool) {
	topic := sub.Entry.Topic()
	sent := l.sent[topic][sub.from:]
	if sub.to >= 0 {
		sent = sent[:sub.to-sub.from]
	}
	place := map[string]int{} // of the events, in the order of publication
	for i, e := range l.sent[topic] {
		place[e.data] = i
	}
	last := map[string]int{}
	for _, data := range got {
		i, ok := place[data]
		old := sub.before[lifeEvent{data: data}.state()] == data
		// A quota may have held a state back until the subscription had begun.
		held := l.quota && topic.Type == stateTopic(0).Type && i < sub.from
		if !ok || !old && !held && (i < sub.from || sub.to >= 0 && i >= sub.to) {
			l.t.Fatalf("a subscription to events %d to %d received %q", sub.from, sub.to, data)
		}
		state := ""
		if topic.Type == stateTopic(0).Type {
			state = lifeEvent{data: data}.state()
		}
		if before, ok := last[state]; ok && before >= i {
			l.t.Fatalf("event %q follows number %d", data, before)
		}
		last[state] = i
	}
	if !complete || sub.to >= 0 {
		return
	}
	seen := map[string]bool{}
	for _, data := range got {
		seen[data] = true
	}
	newest := maps.Clone(sub.before)
	for _, e := range sent {
		if topic.Type == stateTopic(0).Type {
			if newest == nil {
				newest = map[string]string{}
			}
			newest[e.state()] = e.data
		} else if !seen[e.data] && !e.expires {
			l.t.Errorf("event %q is missing in %q", e.data, got)
		}
	}
	for _, data := range newest {
		if !seen[data] && !l.quota {
			l.t.Errorf("state %q is missing in %q", data, got)
		}
	}
}
