package audit

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rte-server/rte-server/test/audit/history"
)

// member is a client over all its connections: what it wants, has, and records. It makes one call at a time.
type member struct {
	name string
	rec  *recorder
	// topics are what it subscribes to on a new connection, with and without a right.
	topics []history.Topic
	// leaves: its token is revoked, after which it does not come back.
	leaves bool
	// churns: it ends its first subscription now and then, and begins it again.
	churns bool
	// token returns a token that expires at that moment of the history; 0: not during the audit.
	token func() (text string, expires time.Duration)

	mu      sync.Mutex
	wanted  []history.Topic        // guarded by mu; what it has a right to
	conn    *history.Connection    // guarded by mu; nil: none
	active  map[history.Topic]bool // guarded by mu; what the server has granted on the connection
	call    *call                  // guarded by mu; without an answer
	fresh   bool                   // guarded by mu; the connection had no call yet
	list    time.Time              // guarded by mu; when it requested its subscriptions last
	churned time.Time              // guarded by mu
	over    bool                   // guarded by mu; the server has sent it away for good
	last    map[history.Topic]int  // guarded by mu; the number of the last event
}

// call is a call of a hub method.
type call struct {
	target string
	topics []history.Topic
}

// listEach and churnEach are the times between two requests for the list of subscriptions, and between two ends of the
// first subscription.
const (
	listEach  = 2 * time.Second
	churnEach = 3 * time.Second
)

// want sets the topics that the client has a right to.
func (m *member) want(topics []history.Topic) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wanted = topics
}

// wants returns the topics that the client has a right to.
func (m *member) wants() []history.Topic {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.wanted)
}

// opened begins a connection.
func (m *member) opened(expires time.Duration) {
	conn := m.rec.connection(m.name, expires)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.conn, m.active, m.call, m.fresh, m.list = conn, map[history.Topic]bool{}, nil, true, time.Now()
}

// closed ends the connection, if there is one.
func (m *member) closed(reason string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.conn != nil {
		m.rec.note(m.conn, history.Record{Kind: history.Closed, Reason: reason})
		m.conn, m.active = nil, nil
	}
}

// leave records that the server has sent the client away for good.
func (m *member) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.over = true
}

// hasLeft reports whether the server has sent the client away for good.
func (m *member) hasLeft() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.over
}

// isWhole reports whether the client has all that it wants, or has left.
func (m *member) isWhole() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.over || m.conn != nil && len(m.missing()) == 0
}

// has reports whether the client has a subscription.
func (m *member) has(topic history.Topic) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.active[topic]
}

// missing returns what it wants and does not have. m.mu is held.
func (m *member) missing() (topics []history.Topic) {
	for _, topic := range m.wanted {
		if !m.active[topic] {
			topics = append(topics, topic)
		}
	}
	return topics
}

// nextCall returns the call that the client should make now, and records it; nil: none.
func (m *member) nextCall() *call {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.conn == nil || m.call != nil {
		return nil
	}
	kind := history.Subscribing
	missing := m.missing()
	switch {
	case m.fresh:
		m.fresh, m.churned = false, time.Now()
		m.call = &call{"Subscribe", m.topics}
	case len(missing) > 0:
		m.call = &call{"Subscribe", missing}
	case m.churns && len(m.wanted) > 0 && time.Since(m.churned) > churnEach:
		m.churned = time.Now()
		m.call, kind = &call{"Unsubscribe", m.wanted[:1]}, history.Unsubscribing
	case time.Since(m.list) > listEach:
		m.list = time.Now()
		m.call = &call{target: "ActiveSubscriptions"}
		return m.call
	default:
		return nil
	}
	m.rec.note(m.conn, history.Record{Kind: kind, Topics: m.call.topics})
	return m.call
}

// answered takes the answer of the call; nil: it failed.
func (m *member) answered(answer json.RawMessage) {
	m.mu.Lock()
	defer m.mu.Unlock()
	made := m.call
	m.call = nil
	if made == nil || m.conn == nil || answer == nil {
		return
	}
	if made.target == "ActiveSubscriptions" {
		m.listed(answer)
		return
	}
	var results []struct{ Subscribed bool }
	if json.Unmarshal(answer, &results) != nil || len(results) != len(made.topics) {
		m.rec.note(m.conn, history.Record{Kind: history.Received, ID: string(answer), Topics: []history.Topic{{}}})
		return
	}
	r := history.Record{Kind: history.Subscribed}
	if made.target == "Unsubscribe" {
		r.Kind = history.Unsubscribed
	}
	for i, topic := range made.topics {
		if results[i].Subscribed {
			r.Topics = append(r.Topics, topic)
			m.active[topic] = r.Kind == history.Subscribed
		}
	}
	m.rec.note(m.conn, r)
}

// listed compares the subscriptions with the list of the server. m.mu is held.
func (m *member) listed(answer json.RawMessage) {
	var list []described
	_ = json.Unmarshal(answer, &list) // an unreadable list lacks all
	r := history.Record{Kind: history.Ended, Reason: "not in the list of subscriptions"}
	for topic, active := range m.active {
		if active && !slices.ContainsFunc(list, func(d described) bool { return d.topic() == topic }) {
			r.Topics = append(r.Topics, topic)
		}
	}
	m.end(r)
}

// end records the end of subscriptions by the server. m.mu is held.
func (m *member) end(r history.Record) {
	for _, topic := range r.Topics {
		delete(m.active, topic)
	}
	if len(r.Topics) > 0 {
		m.rec.note(m.conn, r)
	}
}

// item is an item of Subscribe.
type item struct {
	EntityID  string `json:"EntityId"`
	EventName string `json:"EventName"`
}

// arguments returns the arguments of a call.
func (c *call) arguments() []any {
	if c.topics == nil {
		return []any{}
	}
	list := []item{}
	for _, topic := range c.topics {
		list = append(list, item{topic.Entity, topic.Type})
	}
	return []any{list}
}

// described is a subscription as the server describes it, with property names in any case.
type described struct {
	OrganizationID string `json:"organizationId"`
	EntityID       string `json:"entityId"`
	EventType      string `json:"eventType"`
}

// topic returns the topic of a subscription.
func (d described) topic() history.Topic {
	return history.Topic{Organization: d.OrganizationID, Entity: d.EntityID, Type: d.EventType}
}

// received records a MessageReceived.
func (m *member) received(text json.RawMessage) {
	var d struct {
		Subscription described
		Data         struct {
			described
			ID     string
			Number int
		}
	}
	r := history.Record{Kind: history.Received, ID: string(text), Topics: []history.Topic{{}}}
	if json.Unmarshal(text, &d) == nil {
		topic, data := d.Subscription.topic(), d.Data.topic()
		data.Organization, data.Entity = strings.ToLower(data.Organization), strings.ToLower(data.Entity)
		if data != topic {
			topic.Type += ", with data of " + data.String() // no event has such a topic
		}
		r.ID, r.Number, r.Topics = d.Data.ID, d.Data.Number, []history.Topic{topic}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.conn != nil {
		m.rec.note(m.conn, r)
		m.last[r.Topics[0]] = r.Number
	}
}

// states returns the number of the last event of each of its topics; -1: none.
func (m *member) states() (numbers []int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, topic := range m.topics {
		number, ok := m.last[topic]
		if !ok {
			number = -1
		}
		numbers = append(numbers, number)
	}
	return numbers
}

// notice is the argument of Resync and of SubscriptionsEnded.
type notice struct {
	Reason, Code  string
	From, To      *time.Time
	Total         int
	Subscriptions []described
}

// noticed takes a notice.
func (m *member) noticed(target string, text json.RawMessage) {
	var n notice
	if json.Unmarshal(text, &n) != nil || n.Reason == "unavailable" {
		return // the client subscribes again by itself
	}
	r := history.Record{
		Kind: history.Lost, Reason: n.Reason + n.Code, All: n.Total > len(n.Subscriptions),
		From: m.rec.moment(n.From), To: m.rec.moment(n.To),
	}
	for _, s := range n.Subscriptions {
		r.Topics = append(r.Topics, s.topic())
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.conn == nil:
	case target == "SubscriptionsEnded":
		r.Kind = history.Ended
		m.end(r)
	case target == "Resync":
		m.rec.note(m.conn, r)
		if skew := time.Duration(m.rec.skew.Load()); skew != 0 { // the interval is by the clock of the node
			r.From, r.To = shifted(r.From, skew), shifted(r.To, skew)
			m.rec.note(m.conn, r)
		}
	}
}
