package hub

import (
	"cmp"
	"context"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
)

// ResyncOptions say how clients learn of a Loss. The defaults, which the fields name, replace zero values.
type ResyncOptions struct {
	// Lane returns the name of the lane of a topic. nil: clients do not learn of losses.
	Lane func(events.Topic) string
	// Window is the time over which the clients of a loss are notified, so that they do not all fetch at once. Default:
	// 10 s.
	Window time.Duration
	// CloseWindow is the time over which the connections of clients without Features.Notices are closed. Default: 60 s.
	CloseWindow time.Duration
	// Rate is the number of clients that are notified in a second, by notices and closes together; more clients take
	// longer than the window. Default: 500.
	Rate int
	// CloseRate is the number of clients that may come back in a second. Values above Rate count as Rate. Drain and Shed
	// use it first; closes for losses get the rest. Default: Rate.
	CloseRate int
	// Hold reports whether no connection should be closed for now. Closes for losses wait then, for CloseWindow at most.
	// nil: they never wait.
	Hold func() bool
}

// debounce is the time that a loss waits for others of the same cause: when a connection to Redis is replaced, every
// lane on it may have one.
const debounce = 100 * time.Millisecond

// never is longer than any node runs.
const never = 100 * 365 * 24 * time.Hour

// Lost makes Run notify the clients with subscriptions in a lane that events are missing: clients with Features.Notices
// by a Resync, the others by a Close message, after which they connect again and fetch what they show. Each client is
// notified within its window, once for all losses until then. Lost does not wait.
func (h *Hub) Lost(loss Loss) {
	if h.options.Resync.Lane == nil {
		return
	}
	h.metrics.lost.Inc()
	h.metrics.lostOf.count(loss.Organization)
	h.losses.add(loss)
}

// resyncPlan holds the sessions that have to be notified of losses. It is owned by the goroutine of Hub.resync.
type resyncPlan struct {
	hub       *Hub
	notices   resyncList // of sessions with Features.Notices
	closes    resyncList // of the others
	bySession map[*Session]*plannedResync
}

// resyncList has sessions in the order in which they are due.
type resyncList struct {
	waiting []*plannedResync
	delay   time.Duration // of all of them, after their due
	held    time.Duration // part of delay from ResyncOptions.Hold
}

// plannedResync is a session that has to be notified.
type plannedResync struct {
	session   *Session
	due       time.Time
	losses    []Loss // one per lane
	undecided bool   // its undecided items can be decided
}

// add adds a loss.
func (p *plannedResync) add(loss Loss) {
	for i := range p.losses {
		if p.losses[i].Lane == loss.Lane {
			p.losses[i] = p.losses[i].with(loss)
			return
		}
	}
	p.losses = append(p.losses, loss)
}

// resync notifies clients of losses until ctx ends.
func (h *Hub) resync(ctx context.Context) {
	p := &resyncPlan{hub: h, bySession: map[*Session]*plannedResync{}}
	timer := time.NewTimer(never)
	defer timer.Stop()
	for {
		timer.Reset(min(p.notices.next(), p.closes.next()))
		select {
		case <-h.losses.came.C():
			timer.Reset(debounce)
			select {
			case <-timer.C:
			case <-ctx.Done():
				return
			}
			p.add(h.losses.take())
		case <-timer.C:
			p.notifyDue(&p.notices, p.waitForNotice)
			p.notifyDue(&p.closes, p.waitForClose)
			if len(p.closes.waiting) == 0 {
				h.metrics.resyncHeld.Set(0)
			}
		case <-ctx.Done():
			return
		}
		h.metrics.resyncing.Set(float64(len(p.bySession)))
	}
}

// add plans the notification of all sessions that losses concern, and of those whose undecided items can be decided:
// evenly spread over their window, each at a random moment of its slot. A session that already waits gets one notice
// for all losses.
func (p *resyncPlan) add(byLane map[string]Loss, undecided []*Session) {
	if len(byLane) == 0 && len(undecided) == 0 {
		return // an earlier call took them
	}
	var notices, closes []*plannedResync
	planned := func(s *Session) *plannedResync {
		if p.bySession[s] == nil {
			p.bySession[s] = &plannedResync{session: s}
			if s.conn.Features().Notices {
				notices = append(notices, p.bySession[s])
			} else {
				closes = append(closes, p.bySession[s])
			}
		}
		return p.bySession[s]
	}
	for _, s := range undecided {
		planned(s).undecided = true
	}
	p.hub.concerned(byLane, func(s *Session, loss Loss) { planned(s).add(loss) })
	pace := p.hub.resyncing.Load()
	jitter := p.hub.options.Jitter
	over := max(p.notices.add(notices, pace.window, jitter), p.closes.add(closes, pace.closeWindow, jitter),
		time.Duration(len(p.bySession))*time.Second/time.Duration(pace.rate),
		time.Duration(len(p.closes.waiting))*time.Second/time.Duration(p.hub.closeRate()))
	p.hub.options.Logger.Info("clients will be notified of lost events or asked to subscribe again",
		zap.Int("lanes", len(byLane)), zap.Int("undecided", len(undecided)), zap.Int("notices", len(notices)),
		zap.Int("closes", len(closes)), zap.Duration("over", over))
}

// add adds sessions that are due within a window from now. It returns the window, or 0 if no session was added.
func (l *resyncList) add(
	added []*plannedResync, window time.Duration, jitter func(time.Duration) time.Duration,
) time.Duration {
	if len(added) == 0 {
		return 0
	}
	slot := max(window/time.Duration(len(added)), 1)
	start := time.Now().Add(-l.delay)
	for i, planned := range added {
		planned.due = start.Add(slot*time.Duration(i) + jitter(slot))
	}
	l.waiting = append(l.waiting, added...)
	slices.SortFunc(l.waiting, func(a, b *plannedResync) int { return cmp.Compare(a.due.UnixNano(), b.due.UnixNano()) })
	return window
}

// next returns the time until the first session is due.
func (l *resyncList) next() time.Duration {
	if len(l.waiting) == 0 {
		return never
	}
	return time.Until(l.waiting[0].due.Add(l.delay))
}

// concerned calls found with each session and each loss in a lane of its subscriptions.
func (h *Hub) concerned(byLane map[string]Loss, found func(*Session, Loss)) {
	if len(byLane) == 0 {
		return
	}
	organizations := map[events.ID]bool{}
	for _, loss := range byLane {
		organizations[loss.Organization] = true
	}
	for s := range h.sessions.All() {
		for _, lane := range s.lanes(organizations) {
			if loss, ok := byLane[lane]; ok {
				found(s, loss)
			}
		}
	}
}

// notifyDue notifies the sessions that are due. wait returns how long the next session, and all behind it, have to
// wait.
func (p *resyncPlan) notifyDue(l *resyncList, wait func(now time.Time) time.Duration) {
	n := 0
	for now := time.Now(); n < len(l.waiting); n++ {
		planned := l.waiting[n]
		if due := planned.due.Add(l.delay); due.After(now) {
			break
		} else if more := wait(now); more > 0 && !planned.session.isClosed() {
			l.delay += now.Add(more).Sub(due)
			break
		}
		delete(p.bySession, planned.session)
		how := planned.notify()
		p.spend(how, now)
		p.hub.metrics.resynced[how].Inc()
	}
	l.waiting = slices.Delete(l.waiting, 0, n)
	if len(l.waiting) == 0 {
		l.delay, l.held = 0, 0
	}
}

// waitForNotice returns how long the next notice has to wait.
func (p *resyncPlan) waitForNotice(now time.Time) time.Duration { return p.hub.notified.wait(now) }

// waitForClose returns how long the next close has to wait.
func (p *resyncPlan) waitForClose(now time.Time) time.Duration {
	l, hold := &p.closes, p.hub.options.Resync.Hold
	held := hold != nil && l.held < p.hub.resyncing.Load().closeWindow && hold()
	p.hub.metrics.resyncHeld.Set(map[bool]float64{true: 1}[held])
	if held {
		l.held += holdInterval
		return holdInterval
	}
	return max(p.hub.notified.wait(now), p.hub.departures.wait(now))
}

// spend takes a notification out of the budgets.
func (p *resyncPlan) spend(how notification, now time.Time) {
	if how == notNotified {
		return
	}
	p.hub.notified.spend(now, p.hub.resyncing.Load().rate)
	if how == notifiedByClose {
		p.hub.departures.spend(now, p.hub.closeRate())
	}
}

// notify notifies the session.
func (p *plannedResync) notify() notification {
	how := notNotified
	if p.undecided {
		how = p.session.notifyUndecided()
	}
	if byLoss := p.session.resync(p.losses); byLoss != notNotified {
		return byLoss
	}
	return how
}

// notification is the way in which a session was notified of a loss.
type notification uint8

const (
	notifiedByNotice notification = iota
	notifiedByClose
	// notNotified: the session has ended meanwhile, or its subscriptions have.
	notNotified
	numNotifications
)

// String returns the metric label.
func (n notification) String() string { return [numNotifications]string{"notice", "close", "gone"}[n] }

// resync notifies the session of those losses that concern subscriptions that it still has.
func (s *Session) resync(list []Loss) notification {
	byOrganization := map[events.ID]Loss{} // a client gets one notice per organization
	lanes := map[string]bool{}
	for _, loss := range list {
		if before, ok := byOrganization[loss.Organization]; ok {
			loss = before.with(loss)
		}
		byOrganization[loss.Organization] = loss
	}
	for _, loss := range list {
		lanes[loss.Lane] = true
	}
	how := notNotified
	for organization, loss := range byOrganization {
		concerned := s.matching(func(topic events.Topic) bool {
			return topic.Organization == organization && lanes[s.hub.options.Resync.Lane(topic)]
		})
		switch {
		case len(concerned) == 0:
		case !s.conn.Features().Notices:
			if s.Close(CloseResync) {
				s.hub.history.notified(s, loss, notifiedByClose)
				return notifiedByClose
			}
			return notNotified
		default:
			from, to := clientInterval(loss.From, loss.To)
			s.outbox.Apply(fanout.Change{Frame: s.conn.EncodeNotice(&Resync{
				OrganizationID: organization.String(), Reason: loss.Reason, From: from, To: to,
				Total: len(concerned), Subscriptions: s.hub.describeFirst(concerned),
			})})
			s.hub.history.notified(s, loss, notifiedByNotice)
			how = notifiedByNotice
		}
	}
	return how
}

// lanes returns the lanes of the session's subscriptions in the given organizations, each once.
func (s *Session) lanes(organizations map[events.ID]bool) (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var before events.Topic
	for _, l := range s.active {
		topic := l.Entry.Topic()
		same := topic.Entity == before.Entity && topic.Organization == before.Organization
		if !organizations[topic.Organization] || same {
			continue // the events of an entity are in one lane
		}
		before = topic
		if name := s.hub.options.Resync.Lane(topic); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}
