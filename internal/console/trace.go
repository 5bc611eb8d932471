package console

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/hub"
	"github.com/rte-server/rte-server/internal/trace"
)

const (
	// maxEvents bounds the events in an answer, maxSubscribers the connections of an event.
	maxEvents, maxSubscribers = 200, 500
	// maxAsides bounds the asides that a node searches an event for.
	maxAsides = 20_000
	// maxExplained bounds the connections of a user whose authorization is explained.
	maxExplained = 20
)

// EventRecord is what one node did with an event.
type EventRecord struct {
	Event        string    `json:"event,omitempty"` // Id of the event; empty: it has none, or it was not found
	At           time.Time `json:"at"`              // when the node decided
	Outcome      string    `json:"outcome"`         // see trace.Outcome
	Reason       string    `json:"reason,omitempty"`
	Tier         string    `json:"tier,omitempty"`
	AgeMS        *int64    `json:"ageMs,omitempty"` // At minus the Timestamp of the event
	Organization string    `json:"organization,omitempty"`
	Entity       string    `json:"entity,omitempty"`
	Type         string    `json:"type,omitempty"`
	Lane         string    `json:"lane,omitempty"`
	Subscribers  int       `json:"subscribers"` // about so many, if the outcome is matched
	Bytes        int       `json:"bytes,omitempty"`
	SupersededBy string    `json:"supersededBy,omitempty"` // the newer state, of an event that the quota held back
}

// NodeEvents is what one node knows about events.
type NodeEvents struct {
	// Since is the time since which the node has all its records.
	Since   time.Time     `json:"since"`
	Records []EventRecord `json:"records"`
	// Notified lists notifications of the user about lost events, if the request names a user.
	Notified []hub.Notified `json:"notified"`
}

// idParam reads a GUID. ok is false if the parameter is absent.
func idParam(query url.Values, key string) (id events.ID, ok bool, err error) {
	if !query.Has(key) {
		return id, false, nil
	}
	if id, ok = events.ParseID(query.Get(key)); !ok {
		return id, false, BadRequest(key + ": must be a GUID")
	}
	return id, true, nil
}

// timeParam reads a time, or a duration before now such as 10m.
func timeParam(query url.Values, key string) (at time.Time, err error) {
	text := query.Get(key)
	if text == "" {
		return at, nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return time.Now().Add(-ago), nil
	}
	if at, err = time.Parse(time.RFC3339Nano, text); err != nil {
		return at, BadRequest(key + ": must be a time such as 2026-01-02T15:04:05Z, or a duration such as 10m")
	}
	return at, nil
}

// countParam reads a number up to a bound.
func countParam(query url.Values, key string, byDefault, most int) (int, error) {
	if !query.Has(key) {
		return byDefault, nil
	}
	n, err := strconv.Atoi(query.Get(key))
	if err != nil || n < 0 || n > most {
		return 0, BadRequest(key + ": must be a number up to " + strconv.Itoa(most))
	}
	return n, nil
}

// typeParam reads the name of an event. ok is false if the parameter is absent.
func (o *Operator) typeParam(query url.Values, key string) (t events.Type, ok bool, err error) {
	if !query.Has(key) {
		return t, false, nil
	}
	if t, ok = o.catalog.Lookup(query.Get(key)); !ok {
		return t, false, BadRequest(key + ": is not in the catalog")
	}
	return t, true, nil
}

// eventFilter selects records.
type eventFilter struct {
	id, entity, organization        events.ID
	byID, byEntity, byType, byOwner bool
	event                           events.Type
	since                           time.Time
}

func (o *Operator) eventFilter(query url.Values) (f eventFilter, err error) {
	if f.id, f.byID, err = idParam(query, "id"); err != nil {
		return f, err
	}
	if f.entity, f.byEntity, err = idParam(query, "entity"); err != nil {
		return f, err
	}
	if f.organization, f.byOwner, err = idParam(query, "organization"); err != nil {
		return f, err
	}
	if f.event, f.byType, err = o.typeParam(query, "event"); err != nil {
		return f, err
	}
	f.since, err = timeParam(query, "since")
	return f, err
}

// eventOfUser reads the filter and the user that it names; byUser reports whether it names one.
func (o *Operator) eventOfUser(query url.Values) (f eventFilter, user events.ID, byUser bool, err error) {
	if f, err = o.eventFilter(query); err != nil {
		return f, user, false, err
	}
	user, byUser, err = idParam(query, "user")
	return f, user, byUser, err
}

func (f *eventFilter) matches(r *trace.Record) bool {
	return (!f.byID || r.ID == f.id) && (!f.byEntity || r.Topic.Entity == f.entity) &&
		(!f.byType || r.Topic.Type == f.event) && (!f.byOwner || r.Topic.Organization == f.organization) &&
		(f.since.IsZero() || !r.At().Before(f.since))
}

// traceHere answers with the records of this node.
func (o *Operator) traceHere(_ context.Context, query url.Values, _ []byte) (any, error) {
	filter, user, byUser, err := o.eventOfUser(query)
	if err != nil {
		return nil, err
	}
	limit, err := countParam(query, "limit", maxEvents, maxEvents)
	if err != nil {
		return nil, err
	}
	answer := NodeEvents{Records: []EventRecord{}, Notified: []hub.Notified{}}
	answer.Since, _ = o.trace.Since()
	found := o.trace.Events(filter.matches, limit)
	slices.SortFunc(found, func(a, b trace.Record) int { return b.At().Compare(a.At()) })
	found = found[:min(len(found), limit)]
	superseded := o.superseded(found)
	for i := range found {
		record := o.describeRecord(&found[i])
		record.SupersededBy = superseded[found[i].ID]
		answer.Records = append(answer.Records, record)
	}
	if byUser {
		answer.Notified = append(answer.Notified, o.hub.Notifications(user)...)
	}
	return answer, nil
}

// superseded returns the newer states of those events that a quota held back.
func (o *Operator) superseded(records []trace.Record) map[events.ID]string {
	newer := map[events.ID]string{}
	for i := range records {
		if records[i].Outcome == trace.Held {
			newer[records[i].ID] = ""
		}
	}
	if len(newer) == 0 {
		return newer
	}
	for _, a := range o.trace.Asides(func(a *trace.Aside) bool {
		_, is := newer[a.Event]
		return is && a.What == trace.Superseded
	}, maxAsides) {
		newer[a.Event] = a.By.String()
	}
	return newer
}

// describeRecord describes a record for an operator.
func (o *Operator) describeRecord(r *trace.Record) EventRecord {
	d := EventRecord{At: r.At().UTC(), Outcome: r.Outcome.String(), Tier: r.Tier.String()}
	if r.ID != (events.ID{}) {
		d.Event = r.ID.String()
	}
	if topic := events.Topic(r.Topic); topic.Organization != (events.ID{}) {
		d.Organization = topic.Organization.String()
		if topic.Entity != (events.ID{}) {
			d.Lane = o.lane(topic)
		}
	}
	if r.Topic.Entity != (events.ID{}) {
		d.Entity = r.Topic.Entity.String()
	}
	if definition := o.catalog.Definition(r.Topic.Type); definition != nil {
		d.Type = definition.Name
	}
	if made := r.Made(); !made.IsZero() {
		age := r.At().Sub(made).Milliseconds()
		d.AgeMS = &age
	}
	if r.Outcome == trace.Refused {
		d.Reason, d.Bytes, d.Tier = o.trace.Reason(r), int(r.Count), ""
	} else {
		d.Subscribers = int(r.Count)
	}
	return d
}

// ConnectionTrace is what became of an event on its way to one connection.
type ConnectionTrace struct {
	Connection   string     `json:"connection"`
	User         string     `json:"user"`
	Organization string     `json:"organization"`
	Role         authz.Role `json:"role"`
	Protocol     string     `json:"protocol"`
	// Outcome is "sent" or the reason why the event was not sent.
	Outcome string `json:"outcome"`
	// Detail explains the outcome in words.
	Detail string `json:"detail"`
	// By is the newer event that replaced this one.
	By string `json:"by,omitempty"`
	// At is the time that the outcome is about: of the end of a connection, the beginning of a subscription.
	At *time.Time `json:"at,omitempty"`
}

// NodeSubscribers is what one node knows about the subscribers of an event.
type NodeSubscribers struct {
	Connections []ConnectionTrace `json:"connections"`
	More        bool              `json:"more"` // there are others
	// Remembered is the time since which the node knows all subscriptions.
	Remembered time.Time `json:"remembered"`
}

// subscribersHere answers what became of an event on its way to the connections of this node: those of a user, or
// without one those with a subscription to the topic.
func (o *Operator) subscribersHere(ctx context.Context, query url.Values, _ []byte) (any, error) {
	filter, user, byUser, err := o.eventOfUser(query)
	if err != nil {
		return nil, err
	}
	at, err := timeParam(query, "at")
	if err != nil {
		return nil, err
	}
	topic := events.Topic{Organization: filter.organization, Entity: filter.entity, Type: filter.event}
	match := func(c *authz.Claims) bool { return c.User == user }
	if !byUser {
		match = func(c *authz.Claims) bool { return c.BelongsTo(topic.Organization) }
	}
	found, more := o.hub.Subscribers(topic, match, maxSubscribers)
	answer := NodeSubscribers{More: more, Connections: []ConnectionTrace{}, Remembered: o.hub.Remembered()}
	fates := o.fates(filter.id, found)
	here := o.received(filter.id, at)
	for i := range found {
		s := &found[i]
		if len(s.Spans) == 0 && !byUser {
			continue
		}
		c := describeSubscriber(s)
		decide(&c, s, fates[s.Outbox], &here)
		switch {
		case c.Outcome == outcomeNotSubscribed && i < maxExplained:
			o.explainMissing(ctx, &c, s.Claims, topic)
		case c.Outcome == outcomeNotReceived:
			explainLoss(&c, o.hub.Notifications(s.Claims.User), here.at)
		}
		answer.Connections = append(answer.Connections, c)
	}
	return answer, nil
}

// received returns what this node did with an event. elsewhere is when another node received it.
func (o *Operator) received(id events.ID, elsewhere time.Time) (here reception) {
	here.at = elsewhere
	for _, r := range o.trace.Events(func(r *trace.Record) bool { return r.ID == id && r.Outcome != trace.Refused }, 10) {
		if !here.known || r.At().Before(here.at) {
			here.at = r.At()
		}
		if !here.known || r.Outcome == trace.Matched { // a held event may be dispatched later
			here.outcome = r.Outcome
		}
		here.known = true
	}
	since, _ := o.trace.Since()
	here.forgotten = !here.known && since.After(here.at)
	return here
}

func describeSubscriber(s *hub.Subscriber) ConnectionTrace {
	return ConnectionTrace{
		Connection: s.Connection, User: s.Claims.User.String(), Organization: s.Claims.Organization.String(),
		Role: s.Claims.Role, Protocol: s.Protocol.String(),
	}
}

// fate is what the log has about an event and an outbox.
type fate struct {
	aside *trace.Aside // about the event
	some  *trace.Aside // about events that are not known
	ended *trace.Aside // the end of the outbox
}

// fates returns what the log has about an event and the outboxes of subscribers.
func (o *Operator) fates(id events.ID, of []hub.Subscriber) map[uint32]*fate {
	fates := make(map[uint32]*fate, len(of))
	for i := range of {
		fates[of[i].Outbox] = &fate{}
	}
	for _, a := range o.trace.Asides(func(a *trace.Aside) bool {
		return fates[a.Outbox] != nil && (a.Event == id || a.Event == events.ID{})
	}, maxAsides) {
		f := fates[a.Outbox]
		switch {
		case a.What.Ends():
			f.ended = &a
		case a.Event == events.ID{}:
			f.some = &a
		default:
			f.aside = &a
		}
	}
	return fates
}

// explainMissing finds out why a connection has no subscription.
func (o *Operator) explainMissing(ctx context.Context, c *ConnectionTrace, claims *authz.Claims, topic events.Topic) {
	if !claims.BelongsTo(topic.Organization) {
		c.Outcome = outcomeForeign
		c.Detail = "the event belongs to organization " + topic.Organization.String() + ", which is none of the user's"
		return
	}
	definition := o.catalog.Definition(topic.Type)
	if definition == nil {
		return
	}
	explanation := o.gate.Explain(ctx, claims, authz.Request{
		EntityID: topic.Entity.String(), EventName: definition.Name,
	})
	if explanation.Allowed {
		return
	}
	last := explanation.Steps[len(explanation.Steps)-1]
	c.Outcome, c.Detail = outcomePolicy, "not subscribed, and the policy refuses it: "+last.Name+": "+last.Reason
	if last.Name == "organization" {
		c.Outcome = outcomeForeign
		c.Detail = "the directory has the entity in an organization that is none of the user's"
	}
}
