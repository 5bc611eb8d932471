package demo

import (
	"maps"
	"time"
)

// queueOpen is the OpenStatus of a queue that serves callers.
const queueOpen = 5

// equal compares two statuses. Their values are never maps or slices.
func (f fields) equal(other fields) bool { return maps.Equal(f, other) }

// userStatus returns the properties of an agent's UserStatus.
func (s *Simulator) userStatus(a *agent) fields {
	activeQueues, terminals := 0, 1
	if a.serving {
		activeQueues = len(a.queues)
	}
	if a.availability == "OffWork" {
		terminals = 0
	}
	var activeQueue any
	if a.call != nil && a.call.queue != nil {
		activeQueue = a.call.queue.ID.String()
	}
	return fields{
		"UserId":               a.ID.String(),
		"CanBeAllocatedTo":     a.free(),
		"Talking":              a.busy,
		"TalkingStatusChanged": stampOrNull(a.busyChanged),
		"ActiveQueueId":        activeQueue,
		"Available":            a.availability == "Available",
		"Schedule":             a.availability != "OffWork",
		"Serving":              a.serving,
		"ServiceTerminals":     terminals,
		"ActiveQueues":         activeQueues,
		"ParkedCalls":          0,
		"WrapUpStart":          stampOrNull(a.wrapUpStart),
		"WrapUpEnd":            stampOrNull(a.wrapUpEnd),
		"ServingCallback":      a.callback != nil,
		"FetchMode":            false,
	}
}

func (s *Simulator) publishUserStatus(a *agent, status fields) {
	a.last = status
	s.emit("UserStatus", a.ID, status)
}

// queueStatus returns the properties of a queue's QueueStatus: its calls by state and its agents by activity.
func (s *Simulator) queueStatus(q *queue) fields {
	var waiting, allocated, connected int
	var longest time.Duration
	for _, c := range q.calls {
		switch c.state {
		case callWaiting:
			waiting++
			longest = max(longest, s.now-c.queued)
		case callRinging:
			allocated++
			longest = max(longest, s.now-c.queued)
		case callConnected:
			connected++
		}
	}
	var checkedIn, free, wrapUp, longAway, shortAway int
	for _, a := range q.agents {
		if !a.serving {
			continue
		}
		checkedIn++
		switch {
		case a.free():
			free++
		case !a.wrapUpEnd.IsZero():
			wrapUp++
			shortAway++
		case a.busy || a.availability == "BRB" || a.availability == "Busy":
			shortAway++
		default:
			longAway++
		}
	}
	return fields{
		"QueueId":                    q.ID.String(),
		"QueueName":                  q.Name,
		"NbrOfProviders":             checkedIn,
		"NbrOfRequesters":            waiting + allocated + connected,
		"NbrOfServingAgentsEstimate": free + shortAway,
		"NbrOfAllocated":             allocated,
		"NbrOfConnected":             connected,
		"NbrOfQueuingRequesters":     waiting,
		"NbrOfNotServedRequesters":   waiting + allocated,
		"NbrOfAgentsLongTermAway":    longAway,
		"NbrOfAgentsShortTermAway":   shortAway,
		"NbrOfAgentsImmediatelyFree": free,
		"NbrOfAgentsCheckedInQueue":  checkedIn,
		"NbrOfAgentsOnWrapUp":        wrapUp,
		"NbrOfAgentsOnFetchMode":     0,
		"MaxWaitTime":                int(longest / time.Second),
		"OpenStatus":                 queueOpen,
	}
}

func (s *Simulator) publishQueueStatus(q *queue, status fields) {
	q.last = status
	s.emit("QueueStatus", q.ID, status)
	s.alertSupervisors(q)
}

// A queue with longQueue callers causes an alert. The next alert comes only after the queue was short again.
const (
	longQueue  = 4
	shortQueue = 1
)

// alertSupervisors publishes an alert when the queue becomes long.
func (s *Simulator) alertSupervisors(q *queue) {
	waiting := q.waiting()
	switch {
	case waiting >= longQueue && !q.alerted:
		q.alerted = true
		for _, supervisor := range s.supervisors {
			s.emit("UserAlert", supervisor.ID, fields{
				"AlertId":             s.newID().String(),
				"UserId":              supervisor.ID.String(),
				"ConditionName":       q.Name + ": long queue",
				"ConditionExpression": "NbrOfQueuingRequesters >= ConditionValue",
				"ConditionValue":      itoa(longQueue),
				"Value":               itoa(waiting),
			})
		}
	case waiting <= shortQueue:
		q.alerted = false
	}
}
