package hub

import (
	"cmp"
	"context"
	"math/rand/v2"
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
	// Rate is the number of clients that are notified in a second; with more than that in the window, it takes longer.
	// Default: 500.
	Rate int
}

// debounce is the time that a loss waits for others of the same cause: when a connection to Redis is replaced, every
// lane on it may have one.
const debounce = 100 * time.Millisecond

// never is longer than any node runs.
const never = 100 * 365 * 24 * time.Hour

// Lost makes Run notify the clients with subscriptions in a lane that events are missing: clients with Features.Notices
// by a Resync, the others by a Close message, after which they connect again and fetch what they show. Each client is
// notified within the window, once for all losses until then. Lost does not wait.
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
	waiting   []*plannedResync // the first one due first
	bySession map[*Session]*plannedResync
	last      time.Time // when the latest notified session was due
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
		next := never
		if len(p.waiting) > 0 {
			next = time.Until(p.waiting[0].due)
		}
		timer.Reset(next)
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
			p.notifyDue()
		case <-ctx.Done():
			return
		}
		h.metrics.resyncing.Set(float64(len(p.waiting)))
	}
}

// add plans the notification of all sessions that losses concern, and of those whose undecided items can be decided:
// evenly spread over the window, each at a random moment of its slot, and no faster than the rate allows, earlier
// losses included. A session that already waits is notified of everything at once.
func (p *resyncPlan) add(byLane map[string]Loss, undecided []*Session) {
	if len(byLane) == 0 && len(undecided) == 0 {
		return // an earlier call took them
	}
	var added []*plannedResync
	planned := func(s *Session) *plannedResync {
		if p.bySession[s] == nil {
			p.bySession[s] = &plannedResync{session: s}
			added = append(added, p.bySession[s])
		}
		return p.bySession[s]
	}
	for _, s := range undecided {
		planned(s).undecided = true
	}
	p.hub.concerned(byLane, func(s *Session, loss Loss) { planned(s).add(loss) })
	pace := p.hub.resyncing.Load()
	slot := max(pace.window/time.Duration(max(len(added), 1)), 1)
	now := time.Now()
	for i, planned := range added {
		planned.due = now.Add(slot*time.Duration(i) + rand.N(slot)) //nolint:gosec // not a secret
	}
	p.waiting = append(p.waiting, added...)
	slices.SortFunc(p.waiting, func(a, b *plannedResync) int { return cmp.Compare(a.due.UnixNano(), b.due.UnixNano()) })
	over := p.space(time.Second / time.Duration(pace.rate))
	p.hub.options.Logger.Info("clients will be notified of lost events or asked to subscribe again",
		zap.Int("lanes", len(byLane)), zap.Int("undecided", len(undecided)), zap.Int("clients", len(added)),
		zap.Duration("over", over))
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

// space postpones sessions that are due less than pace behind the one before. It returns how long all of them take.
func (p *resyncPlan) space(pace time.Duration) (over time.Duration) {
	earliest := p.last.Add(pace)
	for _, planned := range p.waiting {
		if planned.due.Before(earliest) {
			planned.due = earliest
		}
		earliest = planned.due.Add(pace)
	}
	return max(time.Until(earliest), 0)
}

// notifyDue notifies the sessions that are due.
func (p *resyncPlan) notifyDue() {
	now := time.Now()
	n := 0
	for ; n < len(p.waiting) && !p.waiting[n].due.After(now); n++ {
		planned := p.waiting[n]
		delete(p.bySession, planned.session)
		p.last = planned.due
		p.hub.metrics.resynced[planned.notify()].Inc()
	}
	p.waiting = slices.Delete(p.waiting, 0, n)
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
			s.outbox.Apply(fanout.Change{Frame: s.conn.EncodeNotice(&Resync{
				OrganizationID: organization.String(), Reason: loss.Reason,
				From: clientTime(loss.From), To: clientTime(loss.To),
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
