package hub

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
)

// Loss says that events of a lane may be missing, or are, and that this node cannot get them.
type Loss struct {
	// Organization is whose lane it is.
	Organization events.ID
	// Lane is its name, as ResyncOptions.Lane answers it.
	Lane string
	// From and To are when the events were published; zero: not known.
	From, To time.Time
	// Reason is why they are missing, in a word for clients.
	Reason string
}

// with is the loss of the events of both.
func (l Loss) with(other Loss) Loss {
	if l.From.IsZero() || other.From.IsZero() {
		l.From = time.Time{}
	} else if other.From.Before(l.From) {
		l.From = other.From
	}
	if l.To.IsZero() || other.To.IsZero() {
		l.To = time.Time{}
	} else if other.To.After(l.To) {
		l.To = other.To
	}
	return l
}

// ResyncOptions say how clients learn of a Loss. Zero values are replaced by the defaults that the fields name.
type ResyncOptions struct {
	// Lane is the name of the lane of a topic. nil: nobody learns of anything.
	Lane func(events.Topic) string
	// Window is the time over which the clients of a loss are told, so that they do not fetch all at once. Default: 10 s.
	Window time.Duration
	// Rate is how many clients are told in a second; if there are more than that in the window, it takes longer.
	// Default: 500.
	Rate int
}

// settle is how long a loss waits for others of the same cause: when a connection to Redis is replaced, every lane on
// it may have one.
const settle = 100 * time.Millisecond

// resyncs are the losses that nobody was told of yet. There are no more of them than the node has lanes.
type resyncs struct {
	wake chan struct{} // has one element if there are some; static

	mu   sync.Mutex
	lost map[string]Loss // guarded by mu; by lane
}

// Lost makes Run tell the clients that listen in a lane that events are missing: those with Features.Notices by a
// Resync, the others by a Close message after which they connect again and fetch what they show. Each is told within
// the window, once however many losses there are until then. Lost does not wait.
func (h *Hub) Lost(loss Loss) {
	if h.options.Resync.Lane == nil {
		return
	}
	h.metrics.lost.Inc()
	h.resyncs.mu.Lock()
	defer h.resyncs.mu.Unlock()
	if before, ok := h.resyncs.lost[loss.Lane]; ok {
		loss = before.with(loss)
	}
	h.resyncs.lost[loss.Lane] = loss
	select {
	case h.resyncs.wake <- struct{}{}:
	default:
	}
}

// take takes the losses since the last call.
func (r *resyncs) take() map[string]Loss {
	r.mu.Lock()
	defer r.mu.Unlock()
	lost := r.lost
	r.lost = map[string]Loss{}
	return lost
}

// telling is a session that is to be told.
type telling struct {
	session *Session
	due     time.Time
	losses  []Loss // one per lane
}

// add adds a loss.
func (t *telling) add(loss Loss) {
	for i := range t.losses {
		if t.losses[i].Lane == loss.Lane {
			t.losses[i] = t.losses[i].with(loss)
			return
		}
	}
	t.losses = append(t.losses, loss)
}

// never is longer than any node runs.
const never = 100 * 365 * 24 * time.Hour

// teller tells sessions of losses. It is owned by the goroutine of Hub.resync.
type teller struct {
	hub     *Hub
	waiting []*telling // the first one due first
	last    time.Time  // when the latest one that was told was due
	of      map[*Session]*telling
}

// resync tells of losses until ctx ends.
func (h *Hub) resync(ctx context.Context) {
	t := &teller{hub: h, of: map[*Session]*telling{}}
	timer := time.NewTimer(never)
	defer timer.Stop()
	for {
		next := never
		if len(t.waiting) > 0 {
			next = time.Until(t.waiting[0].due)
		}
		timer.Reset(next)
		select {
		case <-h.resyncs.wake:
			timer.Reset(settle)
			select {
			case <-timer.C:
			case <-ctx.Done():
				return
			}
			t.plan(h.resyncs.take())
		case <-timer.C:
			t.tell()
		case <-ctx.Done():
			return
		}
		h.metrics.resyncing.Set(float64(len(t.waiting)))
	}
}

// plan finds the sessions that losses are about and says when they are told: evenly spread over the window, each at a
// random moment of its share, and no sooner than the rate allows, whatever loss those before are told of. A session that
// is to be told already learns of everything at once.
func (t *teller) plan(lost map[string]Loss) {
	if len(lost) == 0 {
		return // they were taken with those before
	}
	organizations := map[events.ID]bool{}
	for _, loss := range lost {
		organizations[loss.Organization] = true
	}
	var added []*telling
	for s := range t.hub.sessions.All() {
		for _, lane := range s.lanes(organizations) {
			loss, ok := lost[lane]
			if !ok {
				continue
			}
			if t.of[s] == nil {
				t.of[s] = &telling{session: s}
				added = append(added, t.of[s])
			}
			t.of[s].add(loss)
		}
	}
	o := &t.hub.options.Resync
	share := max(o.Window/time.Duration(max(len(added), 1)), 1)
	now := time.Now()
	for i, w := range added {
		w.due = now.Add(share*time.Duration(i) + rand.N(share)) //nolint:gosec // nothing to be guessed
	}
	t.waiting = append(t.waiting, added...)
	slices.SortFunc(t.waiting, func(a, b *telling) int { return cmp.Compare(a.due.UnixNano(), b.due.UnixNano()) })
	over := t.space(time.Second / time.Duration(o.Rate))
	t.hub.options.Logger.Info("clients will be told of lost events", zap.Int("lanes", len(lost)),
		zap.Int("clients", len(added)), zap.Duration("over", over))
}

// space puts off those that would be told less than pace behind the one before, and says how long all of it takes.
func (t *teller) space(pace time.Duration) (over time.Duration) {
	earliest := t.last.Add(pace)
	for _, w := range t.waiting {
		if w.due.Before(earliest) {
			w.due = earliest
		}
		earliest = w.due.Add(pace)
	}
	return max(time.Until(earliest), 0)
}

// tell tells the sessions that are due.
func (t *teller) tell() {
	now := time.Now()
	n := 0
	for ; n < len(t.waiting) && !t.waiting[n].due.After(now); n++ {
		w := t.waiting[n]
		delete(t.of, w.session)
		t.last = w.due
		t.hub.metrics.resynced[w.session.resync(w.losses)].Inc()
	}
	t.waiting = slices.Delete(t.waiting, 0, n)
}

// told is what became of a session that was to be told of a loss.
type told uint8

const (
	toldByNotice told = iota
	toldByClose
	// toldNothing: it has ended meanwhile, or its subscriptions have.
	toldNothing
	numTold
)

// String is a metric label.
func (t told) String() string { return [numTold]string{"notice", "close", "gone"}[t] }

// resync tells the session of losses, as far as it still listens there.
func (s *Session) resync(losses []Loss) told {
	by := map[events.ID]Loss{} // those of an organization are one for the client
	lanes := map[string]bool{}
	for _, loss := range losses {
		if before, ok := by[loss.Organization]; ok {
			loss = before.with(loss)
		}
		by[loss.Organization] = loss
	}
	for _, loss := range losses {
		lanes[loss.Lane] = true
	}
	how := toldNothing
	for organization, loss := range by {
		concerned := s.listeners(func(topic events.Topic) bool {
			return topic.Organization == organization && lanes[s.hub.options.Resync.Lane(topic)]
		})
		switch {
		case len(concerned) == 0:
		case !s.conn.Features().Notices:
			if s.Close(CloseResync) {
				return toldByClose
			}
			return toldNothing
		default:
			s.outbox.Apply(fanout.Change{Frame: s.conn.EncodeNotice(&Resync{
				OrganizationID: organization.String(), Reason: loss.Reason, From: moment(loss.From), To: moment(loss.To),
				Total: len(concerned), Subscriptions: s.hub.named(concerned),
			})})
			how = toldByNotice
		}
	}
	return how
}

// lanes are those of the session's subscriptions in some organizations, each once.
func (s *Session) lanes(of map[events.ID]bool) (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var before events.Topic
	for _, l := range s.active {
		topic := l.Entry.Topic()
		if !of[topic.Organization] || topic.Entity == before.Entity && topic.Organization == before.Organization {
			continue // the events of an entity are in one lane
		}
		before = topic
		if name := s.hub.options.Resync.Lane(topic); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// listeners are the session's subscriptions whose topics are wanted.
func (s *Session) listeners(wanted func(events.Topic) bool) (list []fanout.Subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.active {
		if wanted(l.Entry.Topic()) {
			list = append(list, l)
		}
	}
	return list
}
