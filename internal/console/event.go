package console

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/hub"
	"github.com/rte-server/rte-server/internal/trace"
)

// EventTrace is the answer of /api/events/{id}: an event on all nodes.
type EventTrace struct {
	Event string      `json:"event"`
	Nodes []NodeTrace `json:"nodes"`
	Reached
	Conclusion *Conclusion `json:"conclusion,omitempty"` // if the request names a user
}

// NodeTrace is what one node knows about an event.
type NodeTrace struct {
	Node string `json:"node"`
	// Since is the time since which the node has all its records.
	Since   time.Time     `json:"since"`
	Records []EventRecord `json:"records"`
	// Connections are those of the user, or those with a subscription to the topic.
	Connections []ConnectionTrace `json:"connections"`
	More        bool              `json:"more"` // connections are missing here

	remembered time.Time
	notified   []hub.Notified
}

// Conclusion answers whether a user received an event, and why not.
type Conclusion struct {
	User      string `json:"user"`
	Delivered bool   `json:"delivered"`
	Code      string `json:"code"` // "sent", or the reason
	Text      string `json:"text"` // a sentence for people
}

// EventList is the answer of /api/events.
type EventList struct {
	Events []EventSummary `json:"events"` // the newest first
	Reached
	// Since is the time since which all nodes have all their records.
	Since time.Time `json:"since"`
}

// EventSummary is an event in a list.
type EventSummary struct {
	Event      string        `json:"event,omitempty"` // Id; empty: it has none, or none was found in a refused message
	Type       string        `json:"type,omitempty"`
	Entity     string        `json:"entity,omitempty"`
	At         time.Time     `json:"at"` // when the first node received it
	Nodes      []NodeOutcome `json:"nodes"`
	Conclusion *Conclusion   `json:"conclusion,omitempty"` // for the newest events, if the request names a user
}

// NodeOutcome is what one node did with an event.
type NodeOutcome struct {
	Node        string `json:"node"`
	Outcome     string `json:"outcome"`
	Reason      string `json:"reason,omitempty"`
	Subscribers int    `json:"subscribers"`
}

// maxConclusions bounds the events of a list that are followed to the connections of a user.
const maxConclusions = 20

// event follows one event through all nodes, and to the connections of a user if the query has one.
func (o *Operator) event(ctx context.Context, query url.Values) (any, error) {
	if err := onlyKeys(query, "id", "user", "entity", "event", "organization"); err != nil {
		return nil, err
	}
	filter, user, byUser, err := o.eventOfUser(query)
	if err != nil {
		return nil, err
	}
	o.audit.Info("event traced", zap.Stringer("event", filter.id), zap.Stringer("user", user))
	return o.follow(ctx, &filter, user, byUser)
}

// follow follows an event through all nodes. Of an event that no node received, the filter may have the topic.
func (o *Operator) follow(ctx context.Context, filter *eventFilter, user events.ID, byUser bool) (*EventTrace, error) {
	t := &EventTrace{Event: filter.id.String(), Nodes: []NodeTrace{}}
	request := url.Values{"id": {filter.id.String()}}
	if byUser {
		request.Set("user", user.String())
	}
	var err error
	byName := map[string]int{}
	t.Reached, err = queryNodes(ctx, o, "trace", request, nil, func(node string, answer NodeEvents) {
		byName[node] = len(t.Nodes)
		t.Nodes = append(t.Nodes, NodeTrace{
			Node: node, Since: answer.Since, Records: answer.Records, Connections: []ConnectionTrace{},
			notified: answer.Notified,
		})
	})
	if err != nil {
		return nil, err
	}
	if topic, at, ok := o.topicOf(t.Nodes, filter); ok || byUser {
		request.Set("organization", topic.Organization.String())
		request.Set("entity", topic.Entity.String())
		if definition := o.catalog.Definition(topic.Type); definition != nil {
			request.Set("event", definition.Name)
		}
		request.Set("at", at.Format(time.RFC3339Nano))
		reached, err := queryNodes(ctx, o, "subscribers", request, nil, func(node string, answer NodeSubscribers) {
			if i, ok := byName[node]; ok {
				n := &t.Nodes[i]
				n.Connections, n.More, n.remembered = answer.Connections, answer.More, answer.Remembered
			}
		})
		if err != nil {
			return nil, err
		}
		for _, problem := range reached.Unanswered {
			if !slices.ContainsFunc(t.Unanswered, func(p NodeProblem) bool { return p.Node == problem.Node }) {
				t.Unanswered = append(t.Unanswered, problem)
			}
		}
	}
	if byUser {
		v := conclude(t, user)
		t.Conclusion = &v
	}
	return t, nil
}

// topicOf returns the topic of an event and when a node first received it. If no node did, ok is false, and the topic
// is that of the filter.
func (o *Operator) topicOf(nodes []NodeTrace, filter *eventFilter) (topic events.Topic, at time.Time, ok bool) {
	topic = events.Topic{Organization: filter.organization, Entity: filter.entity, Type: filter.event}
	at = time.Now()
	for i := range nodes {
		for j := range nodes[i].Records {
			r := &nodes[i].Records[j]
			if r.Outcome == trace.Refused.String() {
				continue
			}
			if !ok || r.At.Before(at) {
				at = r.At
			}
			ok = true
			topic.Organization, _ = events.ParseID(r.Organization)
			topic.Entity, _ = events.ParseID(r.Entity)
			topic.Type, _ = o.catalog.Lookup(r.Type)
		}
	}
	return topic, at, ok
}

// events lists the events of all nodes that match.
func (o *Operator) events(ctx context.Context, query url.Values) (any, error) {
	if err := onlyKeys(query, "user", "entity", "event", "organization", "since", "limit"); err != nil {
		return nil, err
	}
	user, byUser, err := idParam(query, "user")
	if err != nil {
		return nil, err
	}
	if _, err := o.eventFilter(query); err != nil {
		return nil, err
	}
	limit, err := countParam(query, "limit", defaultListed, maxEvents)
	if err != nil {
		return nil, err
	}
	request := url.Values{}
	for _, key := range []string{"entity", "event", "organization"} {
		if query.Has(key) {
			request.Set(key, query.Get(key))
		}
	}
	if since, _ := timeParam(query, "since"); !since.IsZero() {
		request.Set("since", since.Format(time.RFC3339Nano))
	}
	request.Set("limit", strconv.Itoa(limit))
	list := EventList{Events: []EventSummary{}}
	byID := map[string]int{}
	list.Reached, err = queryNodes(ctx, o, "trace", request, nil, func(node string, answer NodeEvents) {
		if answer.Since.After(list.Since) {
			list.Since = answer.Since
		}
		for i := range answer.Records {
			list.add(byID, node, &answer.Records[i])
		}
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(list.Events, func(a, b EventSummary) int { return b.At.Compare(a.At) })
	list.Events = list.Events[:min(len(list.Events), limit)]
	o.audit.Info("events listed", zap.Stringer("user", user), zap.Int("events", len(list.Events)))
	if byUser {
		for i := range list.Events[:min(len(list.Events), maxConclusions)] {
			if list.Events[i].Event == "" {
				continue
			}
			id, _ := events.ParseID(list.Events[i].Event)
			t, err := o.follow(ctx, &eventFilter{id: id}, user, true)
			if err != nil {
				return nil, err
			}
			list.Events[i].Conclusion = t.Conclusion
		}
	}
	return list, nil
}

// add adds a record to the list: to the event with its id, or as a new event.
func (l *EventList) add(byID map[string]int, node string, r *EventRecord) {
	i, known := byID[r.Event]
	if !known || r.Event == "" {
		i = len(l.Events)
		l.Events = append(l.Events, EventSummary{Event: r.Event, Type: r.Type, Entity: r.Entity, At: r.At})
		byID[r.Event] = i
	}
	e := &l.Events[i]
	if r.At.Before(e.At) {
		e.At = r.At
	}
	e.Nodes = append(e.Nodes, NodeOutcome{node, r.Outcome, r.Reason, r.Subscribers})
}

// ranks are the outcomes of connections, the most telling one first.
var ranks = []string{
	outcomeConflated, outcomeExpired, outcomeSlow, outcomeFailed, outcomeClosed, outcomeHeld, outcomeMalformed,
	outcomeUncertain, outcomeLost, outcomeNotReceived, outcomeUnknown, outcomeLater, outcomeEarlier, outcomePolicy,
	outcomeForeign, outcomeNotSubscribed, outcomeDisconnected, outcomeConnectedLater,
}

// conclude finds out whether a user received an event.
func conclude(t *EventTrace, user events.ID) (v Conclusion) {
	v.User = user.String()
	var best *ConnectionTrace
	at := ""
	refused, received := "", false
	var since, remembered time.Time
	for i := range t.Nodes {
		n := &t.Nodes[i]
		if n.Since.After(since) {
			since = n.Since
		}
		if n.remembered.After(remembered) {
			remembered = n.remembered
		}
		for j := range n.Records {
			if r := &n.Records[j]; r.Outcome == trace.Refused.String() {
				refused = fmt.Sprintf("node %s refused the message: %s", n.Node, r.Reason)
			} else {
				received = true
			}
		}
		for j := range n.Connections {
			c := &n.Connections[j]
			if c.Outcome == outcomeSent {
				v.Delivered, v.Code = true, outcomeSent
				v.Text = fmt.Sprintf("delivered: sent to connection %s on node %s", c.Connection, n.Node)
				return v
			}
			if best == nil || slices.Index(ranks, c.Outcome) < slices.Index(ranks, best.Outcome) {
				best, at = c, n.Node
			}
		}
	}
	switch {
	case !received && refused != "":
		v.Code, v.Text = "refused", "not delivered: "+refused
	case !received:
		v.Code, v.Text = notReceived(t, since)
	case best == nil:
		v.Code, v.Text = outcomeNotConnected, "not delivered: the user had no connection to the nodes that answered, since "+
			remembered.UTC().Format(time.RFC3339)+" at least"
	default:
		v.Code = best.Outcome
		v.Text = fmt.Sprintf("not delivered: %s (connection %s on node %s)", best.Detail, best.Connection, at)
	}
	for _, silent := range t.Unanswered {
		v.Text += fmt.Sprintf("; node %s %s", silent.Node, silent.Detail)
	}
	return v
}

// notReceived returns the conclusion about an event that no node received.
func notReceived(t *EventTrace, since time.Time) (code, text string) {
	for i := range t.Nodes {
		if n := t.Nodes[i].notified; len(n) > 0 {
			last := &n[len(n)-1]
			return outcomeLost, fmt.Sprintf("not delivered: no node received it, and node %s lost events of organization %s: %s",
				t.Nodes[i].Node, last.Organization, describeLoss(last))
		}
	}
	return outcomeNotReceived, "not delivered: no node received it since " + since.UTC().Format(time.RFC3339) +
		"; was it published to the lane of its organization, and do the nodes have a subscriber of that organization?"
}
