package hub

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
	"github.com/rte-server/rte-server/internal/hub/invoker"
)

// The errors of Open and of Session.Refresh.
var (
	// ErrDraining means that Drain was called.
	ErrDraining = errors.New("hub is draining")
	// ErrRevoked means that the token was revoked after it was verified.
	ErrRevoked = errors.New("token is revoked")
	// ErrOtherUser means that a token belongs to another user than the session, or to another organization.
	ErrOtherUser = errors.New("token of another user")
	// ErrClosed means that the session has ended.
	ErrClosed = errors.New("session has ended")
)

// Hub opens sessions and runs the calls of their clients. Its methods may be called from any goroutine.
type Hub struct {
	options   Options
	metrics   *metrics
	invoker   *invoker.Invoker
	sessions  Sessions
	quota     quota
	limits    atomic.Pointer[Limits]
	resyncing atomic.Pointer[resyncPace]

	notified   budget // of clients that are notified of losses, by notices and closes
	departures budget // of sessions that are closed so that their clients come back: by Drain, Shed and losses

	rechecks  rechecks
	refusals  refusals
	history   history
	losses    losses
	undecided undecided
	idle      idle
	answers   *answerMemory
	indices   topicIndices
	made      time.Time
	names     []string // answer of AvailableSubscriptions
}

// New makes a Hub. Calls wait until Run.
func New(o Options) (*Hub, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	h := &Hub{
		answers: newAnswerMemory(o.Limits.AnswerBytes),
		options: o, made: time.Now(), names: o.Catalog.Names(),
		rechecks: newRechecks(), losses: newLosses(), undecided: newUndecided(),
		history: newHistory(o.HistoryBytes),
		quota:   quota{used: map[events.ID]int{}}, sessions: Sessions{open: map[*Session]struct{}{}},
	}
	h.SetLimits(o.Limits)
	h.SetResync(o.Resync.Window, o.Resync.CloseWindow, o.Resync.Rate)
	h.metrics = newMetrics(o.Registerer, h)
	var err error
	h.invoker, err = invoker.New(invoker.Options{Places: o.Pool, Registerer: o.Registerer, Logger: o.Logger})
	if err != nil {
		return nil, err
	}
	return h, nil
}

// Run runs calls until ctx ends and the calls that it has begun are answered, which takes no longer than the
// invocation limit. Calls that come later are answered with an error. Run also does the work that Recheck and Lost
// request, and notifies clients when it can decide about what was temporarily unavailable. It does not close sessions:
// see Drain.
func (h *Hub) Run(ctx context.Context) error {
	var others sync.WaitGroup
	others.Go(func() { h.recheck(ctx) })
	others.Go(func() { h.resync(ctx) })
	others.Go(func() { h.decide(ctx) })
	h.invoker.Run(ctx)
	others.Wait()
	return nil
}

// Open begins the session of a connection whose handshake succeeded. The caller must make sure that the session is
// closed, also when the connection ends by itself. The error is ErrDraining or ErrRevoked; conn was not used then.
func (h *Hub) Open(conn Conn, claims *authz.Claims) (*Session, error) {
	s := &Session{hub: h, conn: conn, opened: h.second()}
	s.claims.Store(claims)
	// Drain may close the session as soon as it is in the list, but not before it has its outbox.
	s.mu.Lock()
	defer s.mu.Unlock()
	if !h.sessions.add(s) {
		return nil, ErrDraining
	}
	// The list has the session now, so a later revocation finds it there.
	if h.options.Authorization.Revoked(claims) {
		s.closed = true
		h.sessions.remove(s)
		return nil, ErrRevoked
	}
	h.idle.add(s.opened)
	if conn.Resumes() {
		s.outbox = h.options.Dispatcher.OpenResumable(conn, conn.Protocol())
	} else {
		s.outbox = h.options.Dispatcher.Open(conn, conn.Protocol())
	}
	if conn.Features().Limits {
		s.outbox.Apply(fanout.Change{Frame: conn.EncodeNotice(h.limitsFor(claims))})
	}
	return s, nil
}

// Sessions returns the open sessions.
func (h *Hub) Sessions() *Sessions { return &h.sessions }

// CloseIf closes the sessions that match and returns their number. It does not wait for them.
func (h *Hub) CloseIf(reason CloseReason, match func(*Session) bool) (closed int) {
	for s := range h.sessions.All() {
		if match(s) && s.Close(reason) {
			closed++
		}
	}
	return closed
}

// releaseLanes releases the lanes of the topics of entries.
func (h *Hub) releaseLanes(entries []*fanout.Entry) {
	if len(entries) == 0 {
		return
	}
	topics := make([]events.Topic, len(entries))
	for i, e := range entries {
		topics[i] = e.Topic()
	}
	h.options.Lanes.Release(topics)
}
