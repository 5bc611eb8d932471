package simulator

import (
	"slices"
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// mostCallbacks bounds an open list for each agent of its queue. The simulator drops further callbacks.
const mostCallbacks = 2

// retryTime is the time between two attempts to call back. After expiryTime a callback closes by itself.
const (
	retryTime  = time.Minute
	expiryTime = 30 * time.Minute
)

// The types of attempts to call back.
const (
	attemptAnswered   = 1
	attemptUnanswered = 2
)

// callList is a list of callbacks.
type callList struct {
	*CallList
	id    string
	queue *queue // its agents work on the list
	open  []*callback
}

// callback is a callback request.
type callback struct {
	id          string
	list        *callList
	kind        int
	name        string
	contact     string // number
	note        string
	origin      string // id of the call before the request, or empty
	created     time.Duration
	notBefore   time.Duration // 0: none
	assigned    *agent
	lastAttempt attempt
	attempts    int
	closed      bool
}

// attempt is one attempt to reach the contact.
type attempt struct {
	by     *agent
	at     time.Duration
	result int
	note   string
}

// missed may create a callback for a caller who gave up.
func (s *Simulator) missed(c *call) {
	for _, list := range s.lists {
		if list.queue == c.queue && s.likely(0.7) {
			kind := events.CallbackTypeOverflown
			if s.likely(0.4) {
				kind = events.CallbackTypeExplicit
			}
			s.newCallback(list, &callback{kind: kind, contact: c.caller, origin: c.id})
		}
	}
}

// callbackIsRequested creates a callback for a customer whose contract ends.
func (s *Simulator) callbackIsRequested() {
	list := s.lists[len(s.lists)-1]
	if !list.queue.open {
		return
	}
	names := []string{"Anna Lind", "Bryan Osborne", "Henna Toivonen", "Mikael Rautio", "Rosa Clarke", "Teemu Kallio"}
	s.newCallback(list, &callback{
		kind: events.CallbackTypeManual, name: pick(s, names), contact: s.caller(), note: "Contract ends this month",
	})
}

// newCallback adds b to a list, unless the list is full.
func (s *Simulator) newCallback(list *callList, b *callback) {
	if len(list.open) >= mostCallbacks*len(list.queue.agents) {
		return
	}
	b.id, b.list, b.created = s.newID().String(), list, s.now
	list.open = append(list.open, b)
	s.callbackChanged(b, nil, true)
	var expire func()
	expire = func() {
		switch {
		case b.closed:
		case b.assigned != nil:
			s.after(retryTime, expire)
		default:
			s.closeCallback(b)
			s.callbackChanged(b, nil, false)
		}
	}
	s.after(expiryTime, expire)
}

func (s *Simulator) closeCallback(b *callback) {
	b.closed = true
	b.list.open = slices.DeleteFunc(b.list.open, func(other *callback) bool { return other == b })
}

// someoneCallsBack assigns the first callback of a list to a free agent.
func (s *Simulator) someoneCallsBack() {
	list := pick(s, s.lists)
	a := longestFree(list.queue.agents)
	if a == nil {
		return
	}
	for _, b := range list.open {
		if b.assigned == nil && b.notBefore <= s.now {
			s.callBack(b, a)
			return
		}
	}
}

// callBack makes an agent call the contact of b. An answered callback is closed; others are tried again later.
func (s *Simulator) callBack(b *callback, a *agent) {
	b.assigned = a
	s.callbackChanged(b, a, false)
	o := s.newOutgoing(a, b.contact)
	o.callback = b
	s.call(o, func(answered bool) {
		b.assigned = nil
		b.attempts++
		b.lastAttempt = attempt{by: a, at: s.now, result: attemptAnswered, note: "Reached"}
		if answered {
			s.closeCallback(b)
		} else {
			b.lastAttempt.result, b.lastAttempt.note = attemptUnanswered, "No answer"
			b.notBefore = s.now + retryTime
		}
		s.callbackChanged(b, a, false)
	})
}

// callbackChanged publishes the current state of a callback. by is the agent who changed it, nil if no agent did.
func (s *Simulator) callbackChanged(b *callback, by *agent, created bool) {
	list, last := b.list, b.lastAttempt
	e := s.begin(events.CallbackChanged, list.id).
		text("CallBackId", b.id).text("CallListId", list.id).text("Modified", s.stamp).
		textOrNull("AssignedUserId", idOf(b.assigned)).textOrNull("LastAttemptUserId", idOf(last.by)).
		textOrNull("LastModifiedUserId", idOf(by)).text("LastAttemptNote", last.note)
	if last.by == nil {
		e.nulls("LastAttemptTypeId", "LastAttemptTimestamp")
	} else {
		e.number("LastAttemptTypeId", last.result).text("LastAttemptTimestamp", s.stampAt(last.at))
	}
	if b.notBefore == 0 {
		e.null("NotBefore")
	} else {
		e.text("NotBefore", s.stampAt(b.notBefore))
	}
	s.end(e.text("ContactName", b.name).text("ContactNumber", b.contact).text("ContactMessage", "").
		text("Note", b.note).text("QueueId", list.queue.id).text("ChannelIn", list.queue.Name).
		text("CreationTime", s.stampAt(b.created)).text("ExpiryDate", s.stampAt(b.created+expiryTime)).
		flag("Created", created).flag("IsClosed", b.closed).number("TypeId", b.kind).textOrNull("CallId", b.origin).
		text("CalculatedPriority", "Normal").
		nulls("RecordingId", "DueDate", "TranscriptId", "ClassificationId", "CallbackAttempts", "CallbackExtras",
			"CallbackRelatedItems"))
}

// idOf returns the id of an agent, or an empty text.
func idOf(a *agent) string {
	if a == nil {
		return ""
	}
	return a.id
}
