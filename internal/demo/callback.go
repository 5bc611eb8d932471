package demo

import (
	"slices"
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

const (
	timeBetweenRenewals  = 20 * time.Second
	timeBetweenCallbacks = 8 * time.Second
	// mostCallbacks bounds an open list. The simulator drops further callbacks.
	mostCallbacks = 12
)

// The types of callbacks.
const (
	callbackExplicit  = 1
	callbackOverflown = 2
	callbackManual    = 3
)

// The types of attempts to call back.
const (
	attemptAnswered   = 1
	attemptUnanswered = 2
)

// callList is a list of callbacks.
type callList struct {
	*CallList
	queue *queue // its agents work on the list
	open  []*callback
}

// callback is a callback request.
type callback struct {
	id          events.ID
	list        *callList
	kind        int
	name        string
	contact     string // number
	note        string
	origin      any // id of the call before the request, or nil
	created     time.Time
	modified    time.Time
	notBefore   time.Time
	assigned    *agent
	modifiedBy  *agent
	lastAttempt attempt
	closed      bool
}

// attempt is one attempt to reach the contact.
type attempt struct {
	by     *agent
	at     time.Time
	result int
	note   string
}

// missed may create a callback for a caller who gave up.
func (s *Simulator) missed(c *call) {
	for _, list := range s.lists {
		if list.queue == c.queue && s.likely(0.7) {
			kind := callbackOverflown
			if s.likely(0.4) {
				kind = callbackExplicit
			}
			s.newCallback(list, &callback{kind: kind, contact: c.caller, origin: c.id.String()})
		}
	}
}

// renewalIsDue creates a callback for a customer whose contract ends, and schedules the next one.
func (s *Simulator) renewalIsDue() {
	s.after(s.around(timeBetweenRenewals), s.renewalIsDue)
	names := []string{"Anna Lind", "Bryan Osborne", "Henna Toivonen", "Mikael Rautio", "Rosa Clarke", "Teemu Kallio"}
	s.newCallback(s.lists[len(s.lists)-1], &callback{
		kind: callbackManual, name: pick(s, names), contact: s.number(), note: "Contract ends this month",
	})
}

// newCallback adds b to a list, unless the list is full.
func (s *Simulator) newCallback(list *callList, b *callback) {
	if len(list.open) == mostCallbacks {
		return
	}
	b.id, b.list, b.created = s.newID(), list, s.clock(s.now)
	list.open = append(list.open, b)
	s.callbackChanged(b, nil, true)
}

// someoneCallsBack assigns the first callback of a list to a free agent, and schedules the next one.
func (s *Simulator) someoneCallsBack() {
	s.after(s.around(timeBetweenCallbacks), s.someoneCallsBack)
	list := pick(s, s.lists)
	a := longestFree(list.queue.agents)
	if a == nil {
		return
	}
	now := s.clock(s.now)
	for _, b := range list.open {
		if b.assigned == nil && !b.notBefore.After(now) {
			s.callBack(b, a)
			return
		}
	}
}

// callBack makes an agent call the contact of b.
func (s *Simulator) callBack(b *callback, a *agent) {
	b.assigned = a
	s.callbackChanged(b, a, false)
	s.occupy(a)
	a.callback = b

	callID, leg := s.newID().String(), s.newID().String()
	about := func(more fields) fields {
		more["CallId"], more["LegId"] = callID, leg
		more["UserId"], more["UserName"] = a.ID.String(), a.Login
		more["CallerNumber"], more["TargetNumber"] = a.Number, b.contact
		return more
	}
	if s.likely(0.25) {
		s.after(ringingTime, func() {
			s.emit("UserCallOutDisconnected", a.ID, about(fields{"Reason": "local", "TechReason": "NO_ANSWER"}))
			s.release(a)
			s.attempted(b, a, attemptUnanswered)
		})
		return
	}
	s.after(s.between(2*time.Second, 8*time.Second), func() {
		s.emit("UserCallOutConnected", a.ID, about(fields{}))
		s.after(shortestTalk+s.around(talkingTime), func() {
			s.emit("UserCallOutDisconnected", a.ID, about(fields{"Reason": "remote", "TechReason": "NORMAL_CLEARING"}))
			s.release(a)
			s.attempted(b, a, attemptAnswered)
		})
	})
}

// attempted records the result of an attempt. An answered callback is closed; others are tried again later.
func (s *Simulator) attempted(b *callback, a *agent, result int) {
	now := s.clock(s.now)
	b.assigned = nil
	b.lastAttempt = attempt{by: a, at: now, result: result, note: "Reached"}
	if result == attemptAnswered {
		b.closed = true
		b.list.open = slices.DeleteFunc(b.list.open, func(other *callback) bool { return other == b })
	} else {
		b.lastAttempt.note = "No answer"
		b.notBefore = s.clock(s.now + time.Minute)
	}
	s.callbackChanged(b, a, false)
}

// callbackChanged publishes the current state of a callback. by is the agent who changed it, nil if no agent did.
func (s *Simulator) callbackChanged(b *callback, by *agent, created bool) {
	b.modified, b.modifiedBy = s.clock(s.now), by
	var attemptType any
	if b.lastAttempt.by != nil {
		attemptType = b.lastAttempt.result
	}
	s.emit("CallbackChanged", b.list.ID, fields{
		"CallBackId":           b.id.String(),
		"CallListId":           b.list.ID.String(),
		"Modified":             stamp(b.modified),
		"AssignedUserId":       idOrNull(b.assigned),
		"LastAttemptUserId":    idOrNull(b.lastAttempt.by),
		"LastModifiedUserId":   idOrNull(b.modifiedBy),
		"LastAttemptTypeId":    attemptType,
		"LastAttemptTimestamp": stampOrNull(b.lastAttempt.at),
		"LastAttemptNote":      b.lastAttempt.note,
		"ContactName":          b.name,
		"ContactNumber":        b.contact,
		"ContactMessage":       "",
		"Note":                 b.note,
		"QueueId":              b.list.queue.ID.String(),
		"ChannelIn":            b.list.queue.Name,
		"CreationTime":         stamp(b.created),
		"Created":              created,
		"IsClosed":             b.closed,
		"RecordingId":          nil,
		"TypeId":               b.kind,
		"DueDate":              nil,
		"CallId":               b.origin,
		"TranscriptId":         nil,
		"ClassificationId":     nil,
		"ExpiryDate":           nil,
		"CalculatedPriority":   "Normal",
		"NotBefore":            stampOrNull(b.notBefore),
		"CallbackAttempts":     nil,
		"CallbackExtras":       nil,
		"CallbackRelatedItems": nil,
	})
}

// idOrNull returns the id of an agent, or null.
func idOrNull(a *agent) any {
	if a == nil {
		return nil
	}
	return a.ID.String()
}
