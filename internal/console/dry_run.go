package console

import (
	"context"
	"net/url"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
)

// DryRun is the answer of /api/events/dry-run: who would receive an event, and who would not.
type DryRun struct {
	Type   string       `json:"type"`
	Entity string       `json:"entity"`
	Lane   string       `json:"lane"`
	Nodes  []DryRunNode `json:"nodes"`
	Reached
	Receivers int `json:"receivers"` // connections that would receive it
	// Expired reports that nodes would skip the event, as its MessageTTLSeconds have ended.
	Expired bool `json:"expired"`
}

// DryRunNode is the answer of one node.
type DryRunNode struct {
	Node string `json:"node"`
	// Connections are those of the user, or those with a subscription. The outcome "sent" means that they would receive
	// the event.
	Connections []ConnectionTrace `json:"connections"`
	More        bool              `json:"more"`
	// Problem is why events may not reach the node now; empty: they do.
	Problem string `json:"problem,omitempty"`
}

// dryRun sends an event through every node without delivering it.
func (o *Operator) dryRun(ctx context.Context, query url.Values, event []byte) (any, error) {
	if err := onlyKeys(query, "user"); err != nil {
		return nil, err
	}
	if _, _, err := idParam(query, "user"); err != nil {
		return nil, err
	}
	ev, err := o.catalog.Decode(event)
	if err == nil {
		_, err = o.catalog.AppendJSON(nil, &ev) // checks the whole event, as a node with subscribers does
	}
	if err != nil {
		return nil, BadRequest("every node would refuse the event: " + err.Error())
	}
	d := DryRun{
		Type: o.catalog.Definition(ev.Type).Name, Entity: ev.Entity.String(), Lane: o.lane(ev.Topic), Nodes: []DryRunNode{},
		Expired: ev.Expired(time.Now(), 0),
	}
	request := url.Values{
		"organization": {ev.Organization.String()}, "entity": {d.Entity}, "event": {d.Type},
	}
	if query.Has("user") {
		request.Set("user", query.Get("user"))
	}
	d.Reached, err = queryNodes(ctx, o, "dry-run", request, nil, func(node string, answer DryRunNode) {
		answer.Node = node
		d.Nodes = append(d.Nodes, answer)
		for i := range answer.Connections {
			if answer.Connections[i].Outcome == outcomeSent {
				d.Receivers++
			}
		}
	})
	return d, err
}

// dryRunHere answers who on this node would receive an event of a topic now.
func (o *Operator) dryRunHere(ctx context.Context, query url.Values, _ []byte) (any, error) {
	filter, user, byUser, err := o.eventOfUser(query)
	if err != nil {
		return nil, err
	}
	topic := events.Topic{Organization: filter.organization, Entity: filter.entity, Type: filter.event}
	found, more := o.hub.Subscribers(topic, func(c *authz.Claims) bool {
		return byUser && c.User == user || !byUser && c.BelongsTo(topic.Organization)
	}, maxSubscribers)
	answer := DryRunNode{Connections: []ConnectionTrace{}, More: more, Problem: o.laneProblem()}
	now := reception{known: true, at: time.Now()}
	for i := range found {
		s := &found[i]
		if !s.Closed.IsZero() {
			continue
		}
		c := describeSubscriber(s)
		decide(&c, s, nil, &now)
		switch {
		case c.Outcome == outcomeSent:
			c.Detail = "would receive it"
		case !byUser:
			continue
		case i < maxExplained:
			o.explainMissing(ctx, &c, s.Claims, topic)
		}
		answer.Connections = append(answer.Connections, c)
	}
	return answer, nil
}
