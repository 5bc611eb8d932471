package hub

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
)

// history remembers what has ended lately: sessions, their subscriptions, and the notifications of losses. With what is
// open now it shows whether a client had a subscription when an event came. Newer entries replace the oldest.
type history struct {
	mu            sync.Mutex
	sessions      recent[pastSession]      // guarded by mu
	subscriptions recent[pastSubscription] // guarded by mu
	notifications recent[Notified]         // guarded by mu
}

const (
	// sessionBytes is the memory of a pastSession with its claims, activeBytes that of each of its subscriptions: the
	// registry has dropped their entries, which they share with few others.
	sessionBytes, activeBytes = 768, 128
	pastSubscriptionBytes     = 112
	notifiedBytes             = 192
)

// newHistory divides the memory: half of it is for sessions, a quarter for subscriptions, a quarter for notifications.
func newHistory(bytes int) history {
	return history{
		sessions:      recent[pastSession]{bytes: bytes / 2},
		subscriptions: recent[pastSubscription]{bytes: bytes / 4},
		notifications: recent[Notified]{bytes: bytes / 4},
	}
}

// pastSession is a session that has ended. It has the subscriptions that it had until then.
type pastSession struct {
	Subscriber

	active active
}

// pastSubscription is a subscription that ended before its session.
type pastSubscription struct {
	outbox uint32
	topic  events.Topic
	span   Span
}

// Notified is the notification of a client about lost events.
type Notified struct {
	Connection   string    `json:"connection"`
	User         string    `json:"user"`
	Organization string    `json:"organization"` // whose events were lost
	At           time.Time `json:"at"`
	// From and To bound when the lost events were published; nil: not known.
	From   *time.Time `json:"from"`
	To     *time.Time `json:"to"`
	Reason string     `json:"reason"`
	How    string     `json:"how"` // notice or close

	user events.ID
}

// Subscriber is a session, open or ended lately, and its subscriptions to one topic.
type Subscriber struct {
	Connection string
	Claims     *authz.Claims
	Protocol   fanout.Protocol
	Outbox     uint32    // see trace.Aside
	Opened     time.Time // in whole seconds
	Closed     time.Time // zero: it is open
	Reason     string    // why it was closed
	Spans      []Span    // the first one first
}

// Span is the time of a subscription.
type Span struct {
	Began, Ended time.Time // Ended is zero: it has not ended, or with the session
	Reason       string    // why it ended: unsubscribed, or no_longer_allowed
}

// The reasons for the end of a subscription.
const (
	endedByClient = "unsubscribed"
	endedByPolicy = "no_longer_allowed"
)

// spanOf returns the span of a subscription that has not ended.
func spanOf(l fanout.Subscription) Span {
	began, _ := l.ID.Time()
	return Span{Began: began}
}

// subscriber describes the session without its subscriptions.
func (s *Session) subscriber() Subscriber {
	return Subscriber{
		Connection: s.ID(), Claims: s.Claims(), Protocol: s.conn.Protocol(), Outbox: s.outbox.Number(),
		Opened: s.hub.made.Add(time.Duration(s.opened) * time.Second),
	}
}

// closed remembers a session that ends. The caller holds the mutex of the session, which has its subscriptions still.
func (h *history) closed(s *Session, reason CloseReason) {
	if h.sessions.bytes == 0 {
		return
	}
	past := pastSession{Subscriber: s.subscriber(), active: s.active}
	past.Closed, past.Reason = time.Now(), reason.String()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sessions.add(past, sessionBytes+activeBytes*len(past.active))
}

// ended remembers subscriptions that end before their session. The caller holds the mutex of the session, which still
// has them.
func (h *history) ended(s *Session, removed []*fanout.Entry, now time.Time, reason string) {
	if len(removed) == 0 || h.subscriptions.bytes == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range removed {
		if l, ok := s.active.find(e.Topic()); ok {
			span := spanOf(l)
			span.Ended, span.Reason = now, reason
			h.subscriptions.add(pastSubscription{s.outbox.Number(), e.Topic(), span}, pastSubscriptionBytes)
		}
	}
}

// notified remembers that a client was notified of a loss.
func (h *history) notified(s *Session, loss Loss, how notification) {
	if h.notifications.bytes == 0 {
		return
	}
	claims := s.Claims()
	from, to := clientInterval(loss.From, loss.To)
	n := Notified{
		Connection: s.ID(), User: claims.User.String(), Organization: loss.Organization.String(), At: time.Now().UTC(),
		From: from, To: to, Reason: loss.Reason, How: how.String(),
		user: claims.User,
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.notifications.add(n, notifiedBytes)
}

// Subscribers returns the sessions whose claims match, open or ended lately, with their subscriptions to a topic. It
// looks at all sessions: call it for operators only. limit bounds the result; the sessions with a subscription come
// first.
func (h *Hub) Subscribers(
	topic events.Topic, match func(*authz.Claims) bool, limit int,
) (found []Subscriber, more bool) {
	byOutbox := map[uint32]int{}
	add := func(s Subscriber, a active) {
		if l, ok := a.find(topic); ok {
			s.Spans = []Span{spanOf(l)}
		}
		byOutbox[s.Outbox] = len(found)
		found = append(found, s)
	}
	for s := range h.sessions.All() {
		if !match(s.Claims()) {
			continue
		}
		s.mu.Lock()
		if !s.closed {
			add(s.subscriber(), s.active)
		}
		s.mu.Unlock()
	}
	h.history.mu.Lock()
	for past := range h.history.sessions.all {
		if _, ok := byOutbox[past.Outbox]; !ok && match(past.Claims) {
			add(past.Subscriber, past.active)
		}
	}
	for past := range h.history.subscriptions.all {
		if i, ok := byOutbox[past.outbox]; ok && past.topic == topic {
			found[i].Spans = append(found[i].Spans, past.span)
		}
	}
	h.history.mu.Unlock()
	for i := range found {
		slices.SortFunc(found[i].Spans, func(a, b Span) int { return a.Began.Compare(b.Began) })
	}
	slices.SortStableFunc(found, func(a, b Subscriber) int {
		return cmp.Or(cmp.Compare(min(len(b.Spans), 1), min(len(a.Spans), 1)), b.Opened.Compare(a.Opened))
	})
	return found[:min(len(found), limit)], len(found) > limit
}

// Dispatcher returns what delivers events to the sessions.
func (h *Hub) Dispatcher() *fanout.Dispatcher { return h.options.Dispatcher }

// Subscriptions describes the subscriptions of the session.
func (s *Session) Subscriptions() []Subscription { return s.activeSubscriptions().all() }

// MaySubscribe reports whether the session may have a subscription to a topic. It does not wait: it returns true while
// the subscriptions change.
func (s *Session) MaySubscribe(topic events.Topic) bool {
	if !s.mu.TryLock() {
		return true
	}
	defer s.mu.Unlock()
	return s.active.has(topic)
}

// Notifications returns the latest notifications of losses to a user, or to all users if user is zero.
func (h *Hub) Notifications(user events.ID) (found []Notified) {
	h.history.mu.Lock()
	defer h.history.mu.Unlock()
	for n := range h.history.notifications.all {
		if user == (events.ID{}) || n.user == user {
			found = append(found, *n)
		}
	}
	return found
}

// Remembered returns the time since which the hub remembers all sessions and subscriptions that have ended.
func (h *Hub) Remembered() time.Time {
	h.history.mu.Lock()
	defer h.history.mu.Unlock()
	since := h.made
	if lost := h.history.sessions.lost; lost != nil && lost.Closed.After(since) {
		since = lost.Closed
	}
	if lost := h.history.subscriptions.lost; lost != nil && lost.span.Ended.After(since) {
		since = lost.span.Ended
	}
	return since
}

// recent is a queue of the latest things whose memory is bounded.
type recent[T any] struct {
	bytes int // static
	used  int
	queue []sized[T] // from first on
	first int
	lost  *T // the latest that was dropped
}

type sized[T any] struct {
	thing T
	size  int
}

// add adds a thing in place of the oldest ones. A thing larger than the bound is dropped itself.
func (r *recent[T]) add(thing T, size int) {
	r.queue, r.used = append(r.queue, sized[T]{thing, size}), r.used+size
	for r.used > r.bytes && r.first < len(r.queue) {
		oldest := &r.queue[r.first]
		lost := oldest.thing
		r.used, r.lost = r.used-oldest.size, &lost
		*oldest = sized[T]{}
		r.first++
	}
	if r.first > len(r.queue)/2 {
		n := copy(r.queue, r.queue[r.first:])
		clear(r.queue[n:])
		r.queue, r.first = r.queue[:n], 0
	}
}

// all calls yield with each thing, the oldest first.
func (r *recent[T]) all(yield func(*T) bool) {
	for i := r.first; i < len(r.queue); i++ {
		if !yield(&r.queue[i].thing) {
			return
		}
	}
}
