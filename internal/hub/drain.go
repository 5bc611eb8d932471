package hub

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
)

const (
	// closingLead is the time between the notice Closing and the end of the session. It is shorter if all sessions end
	// in less than closingParts times as long.
	closingLead  = 5 * time.Second
	closingParts = 4
	// holdInterval is the time between two calls of Pace.Hold during a pause.
	holdInterval = 100 * time.Millisecond
)

// Pace is the speed at which sessions are closed.
type Pace struct {
	// Over is the time over which the sessions are closed, evenly. 0: all at once.
	Over time.Duration
	// Hold reports whether to pause. It is called before each session, and several times a second during a pause. The
	// rest of the sessions is closed later by the length of the pauses. nil: no pause.
	Hold func() bool
}

// Drain refuses new sessions and closes the open ones with CloseDrain, at a pace, so that clients that reconnect at
// once, as Microsoft's do, do not come all together. The sessions of each organization are spread over the whole time,
// too: no organization loses all its clients at once. When ctx ends, Drain closes the rest at once and returns the
// error of ctx.
func (h *Hub) Drain(ctx context.Context, pace Pace) error {
	sessions := h.sessions.close()
	h.sendAway(ctx, interleave(sessions), CloseDrain, pace)
	for _, s := range sessions {
		s.Close(CloseDrain)
	}
	return ctx.Err()
}

// Shed closes up to a number of sessions, as Drain does, and goes on to accept new ones. When ctx ends, it leaves the
// rest open. It returns how many it closed.
func (h *Hub) Shed(ctx context.Context, number int, reason CloseReason, pace Pace) (closed int) {
	sessions := interleave(h.sessions.list())
	return h.sendAway(ctx, sessions[:min(number, len(sessions))], reason, pace)
}

// interleave orders sessions so that those of each organization are evenly spread over the list: a prefix of any length
// has about the same part of each. It changes the slice.
func interleave(sessions []*Session) []*Session {
	type ranked struct {
		session *Session
		rank    float64 // from 0 to 1
	}
	byOrganization := map[events.ID][]*Session{}
	for _, s := range sessions {
		organization := s.Claims().Organization
		byOrganization[organization] = append(byOrganization[organization], s)
	}
	all := make([]ranked, 0, len(sessions))
	for _, list := range byOrganization {
		offset := rand.Float64() //nolint:gosec // not a secret
		for i, s := range list {
			all = append(all, ranked{s, (float64(i) + offset) / float64(len(list))})
		}
	}
	slices.SortFunc(all, func(a, b ranked) int { return cmp.Compare(a.rank, b.rank) })
	for i := range all {
		sessions[i] = all[i].session
	}
	return sessions
}

// farewell is a step of sendAway: the notice or the end of a session.
type farewell struct {
	session *Session
	due     time.Duration // since the beginning
	notice  bool
}

// farewells returns the steps for sessions in their order. A client with notices gets one before its end; both lie
// within the time.
func farewells(sessions []*Session, over time.Duration) []farewell {
	lead := min(closingLead, over/closingParts)
	steps := make([]farewell, 0, len(sessions))
	slot := float64(over) / float64(max(len(sessions), 1))
	for i, s := range sessions {
		due := time.Duration(slot * float64(i))
		if lead > 0 && s.conn.Features().Notices {
			due = time.Duration(float64(due) * float64(over-lead) / float64(over))
			steps = append(steps, farewell{session: s, due: due, notice: true})
			due += lead
		}
		steps = append(steps, farewell{session: s, due: due})
	}
	slices.SortStableFunc(steps, func(a, b farewell) int { return cmp.Compare(a.due, b.due) })
	return steps
}

// sendAway closes sessions in their order until ctx ends. It returns how many it closed.
func (h *Hub) sendAway(ctx context.Context, sessions []*Session, reason CloseReason, pace Pace) (closed int) {
	lead := min(closingLead, pace.Over/closingParts)
	start := time.Now()
	for _, step := range farewells(sessions, pace.Over) {
		if step.session.isClosed() {
			continue
		}
		// Below the resolution of timers several sessions close at a time.
		if wait := time.Until(start.Add(step.due)); wait >= time.Millisecond && !sleep(ctx, wait) {
			return closed
		}
		for began := time.Now(); pace.Hold != nil && pace.Hold(); {
			if !sleep(ctx, holdInterval) {
				return closed
			}
			start, began = start.Add(time.Since(began)), time.Now()
		}
		switch {
		case ctx.Err() != nil:
			return closed
		case step.notice:
			step.session.notifyClosing(reason, time.Now().Add(lead))
		case step.session.Close(reason):
			closed++
			h.departures.spend(time.Now(), h.closeRate())
		}
	}
	return closed
}

// sleep waits. It returns false if ctx ended.
func sleep(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// notifyClosing notifies the client that its connection will be closed at a time.
func (s *Session) notifyClosing(reason CloseReason, at time.Time) {
	s.outbox.Apply(fanout.Change{Frame: s.conn.EncodeNotice(&Closing{Reason: reason.String(), At: clientTime(at)})})
}
