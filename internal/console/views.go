package console

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"time"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/hub"
	"github.com/rte-server/rte-server/internal/trace"
)

// ConnectionDetail is the answer of /api/connections/{id}.
type ConnectionDetail struct {
	Connection

	List []hub.Subscription `json:"list"` // of the subscriptions, from the one with the index offset on
}

// connection describes one connection, of whichever node.
func (o *Operator) connection(ctx context.Context, query url.Values) (any, error) {
	if err := onlyKeys(query, "id", "offset", "limit"); err != nil {
		return nil, err
	}
	var found *ConnectionDetail
	reached, err := queryNodes(ctx, o, "connection", query, nil, func(node string, answer *ConnectionDetail) {
		if answer != nil && found == nil {
			found = answer
			found.Node = node
		}
	})
	switch {
	case err != nil:
		return nil, err
	case found != nil:
		return found, nil
	case len(reached.Unanswered) > 0:
		return nil, BadRequest("id: no node that answered has the connection; " + reached.Unanswered[0].Node + " " +
			reached.Unanswered[0].Detail)
	}
	return nil, BadRequest("id: no node has the connection")
}

// connectionHere describes a connection of this node; nil if it has none with the id.
func (o *Operator) connectionHere(_ context.Context, query url.Values, _ []byte) (any, error) {
	offset, err := countParam(query, "offset", 0, 1<<30)
	if err != nil {
		return nil, err
	}
	limit, err := countParam(query, "limit", defaultListed, maxListed)
	if err != nil {
		return nil, err
	}
	for s := range o.hub.Sessions().All() {
		if s.ID() == query.Get("id") {
			list := s.Subscriptions()
			list = list[min(offset, len(list)):]
			return &ConnectionDetail{describe(s), list[:min(limit, len(list))]}, nil
		}
	}
	return nil, nil //nolint:nilnil // the JSON null is the answer of a node without the connection
}

// TopicList is the answer of /api/topics.
type TopicList struct {
	Topics []TopicEntry `json:"topics"`
	// Since is the time since which the events are counted, a minute ago at most.
	Since time.Time `json:"since"`
	// Nodes lists who answered, if the query has nodes=all.
	Nodes *Reached `json:"nodes,omitempty"`
}

// TopicEntry is a topic with subscribers.
type TopicEntry struct {
	Organization string `json:"organization"`
	Entity       string `json:"entity"`
	Type         string `json:"type"`
	Subscribers  int    `json:"subscribers"`
	Events       int    `json:"events"` // received since TopicList.Since; of several nodes, by the one with the most
}

// topicSpan is the time for which the events of a topic are counted.
const topicSpan = time.Minute

// topics lists the topics with the most subscribers, or the most events.
func (o *Operator) topics(ctx context.Context, query url.Values) (any, error) {
	if err := onlyKeys(query, "organization", "entity", "event", "order", "limit", "nodes"); err != nil {
		return nil, err
	}
	all, err := ofAllNodes(query)
	if err != nil {
		return nil, err
	}
	if !all {
		return o.topicsHere(ctx, query, nil)
	}
	limit, err := countParam(query, "limit", defaultListed, maxEvents)
	if err != nil {
		return nil, err
	}
	type key struct{ organization, entity, event string }
	sums, list := map[key]*TopicEntry{}, TopicList{Topics: []TopicEntry{}}
	reached, err := queryNodes(ctx, o, "topics", query, nil, func(_ string, answer TopicList) {
		if answer.Since.After(list.Since) {
			list.Since = answer.Since
		}
		for _, t := range answer.Topics {
			k := key{t.Organization, t.Entity, t.Type}
			if sum := sums[k]; sum != nil {
				sum.Subscribers, sum.Events = sum.Subscribers+t.Subscribers, max(sum.Events, t.Events)
			} else {
				sums[k] = &t
			}
		}
	})
	if err != nil {
		return nil, err
	}
	for _, sum := range sums {
		list.Topics = append(list.Topics, *sum)
	}
	list.cut(query.Get("order"), limit)
	list.Nodes = &reached
	return list, nil
}

// cut sorts the list and keeps the first of it.
func (l *TopicList) cut(order string, limit int) {
	slices.SortFunc(l.Topics, func(a, b TopicEntry) int {
		events, subscribers := cmp.Compare(b.Events, a.Events), cmp.Compare(b.Subscribers, a.Subscribers)
		if order == "rate" {
			return cmp.Or(events, subscribers, cmp.Compare(a.Entity, b.Entity))
		}
		return cmp.Or(subscribers, events, cmp.Compare(a.Entity, b.Entity))
	})
	l.Topics = l.Topics[:min(len(l.Topics), limit)]
}

// topicsHere lists the topics of this node. It counts events by the trace, so that they cost nothing meanwhile.
func (o *Operator) topicsHere(_ context.Context, query url.Values, _ []byte) (any, error) {
	filter, err := o.eventFilter(query)
	if err != nil {
		return nil, err
	}
	limit, err := countParam(query, "limit", defaultListed, maxEvents)
	if err != nil {
		return nil, err
	}
	if order := query.Get("order"); order != "" && order != "rate" && order != "subscribers" {
		return nil, BadRequest("order: must be subscribers or rate")
	}
	list := TopicList{Topics: []TopicEntry{}, Since: time.Now().Add(-topicSpan)}
	if since, _ := o.trace.Since(); since.After(list.Since) {
		list.Since = since
	}
	counts := map[events.Topic]int{}
	o.trace.Events(func(r *trace.Record) bool {
		if r.Outcome != trace.Refused && r.At().After(list.Since) {
			counts[events.Topic(r.Topic)]++
		}
		return false
	}, 1)
	o.hub.Dispatcher().EachTopic(func(t events.Topic, subscribers int) bool {
		if subscribers > 0 && filter.matches(&trace.Record{Topic: trace.Topic(t)}) {
			list.Topics = append(list.Topics, TopicEntry{
				Organization: t.Organization.String(), Entity: t.Entity.String(), Type: o.catalog.Definition(t.Type).Name,
				Subscribers: subscribers, Events: counts[t],
			})
		}
		if len(list.Topics) > keptListed*(limit+1) {
			list.cut(query.Get("order"), limit)
		}
		return true
	})
	list.cut(query.Get("order"), limit)
	return list, nil
}
