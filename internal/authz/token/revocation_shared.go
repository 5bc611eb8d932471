package token

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/wakeup"
)

const (
	// rereadInterval is how often the store is read although nothing says that it has changed, and retryInterval how often
	// it is tried while it is away.
	rereadInterval = 10 * time.Second
	retryInterval  = time.Second
	// storeTimeout is for one conversation with the store.
	storeTimeout = 2 * time.Second
	// maxUnsaved is how many revocations wait for a store that is away.
	maxUnsaved = 10_000
	// maxMember is how many bytes of a revocation in the store are looked at.
	maxMember = 2 << 10
)

// The errors of SharedRevocations.Share. The revocation is in force on this node all the same.
var (
	ErrNotShared   = errors.New("the other nodes were not told yet, and are when the store is back")
	ErrNeverShared = errors.New("the other nodes were not told and will not be, because too many revocations wait for the store already")
)

// RevocationStore keeps revocations for all nodes. It may be used from any goroutine.
type RevocationStore interface {
	// Keep stores a revocation until a time, if it is not stored for longer already, and then sends a message about it to
	// all nodes.
	Keep(ctx context.Context, member []byte, until time.Time, message []byte) error
	// Kept calls each with what is stored and still matters, and forgets what does not.
	Kept(ctx context.Context, each func(member []byte, until time.Time)) error
}

// SharedRevocationsOptions are what SharedRevocations work with.
type SharedRevocationsOptions struct {
	List  *Revocations    // needed; of this node
	Store RevocationStore // needed
	// TTL is how long a revocation counts that does not say until when. Needed.
	TTL time.Duration
	// Enforce is called, by Run, when revocations have come into force on this node that others made. A nil slice stands
	// for too many to be named. Needed.
	Enforce func(fresh []Revocation)

	Logger     *zap.Logger           // default: none
	Registerer prometheus.Registerer // default: none
}

// SharedRevocations keep the revocations of a node and those of all others the same, by way of a store. Their methods
// may be called from any goroutine, also before Run.
type SharedRevocations struct {
	options SharedRevocationsOptions
	metrics *sharedMetrics
	reread  wakeup.Signal // set to read the store at once
	came    wakeup.Signal // set when something fresh has come
	tried   chan struct{} // closed when the store was read, or could not be, for the first time
	read    atomic.Bool   // it was read, and the last reading did not fail

	mu       sync.Mutex
	unsaved  map[Revocation]struct{} // guarded by mu; the store was away
	fresh    []Revocation            // guarded by mu; to be enforced
	overflow bool                    // guarded by mu; fresh would have had too many
}

// maxFresh is how many fresh revocations are named one by one.
const maxFresh = 1000

// NewSharedRevocations checks the options.
func NewSharedRevocations(o SharedRevocationsOptions) (*SharedRevocations, error) {
	if o.List == nil || o.Store == nil || o.Enforce == nil || o.TTL <= 0 {
		return nil, errors.New("shared revocations: a list, a store, a time and somebody to enforce them are needed")
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	s := &SharedRevocations{
		options: o, metrics: newSharedMetrics(o.Registerer), unsaved: map[Revocation]struct{}{},
		reread: wakeup.New(), came: wakeup.New(), tried: make(chan struct{}),
	}
	s.metrics.unsavedCapacity.Set(maxUnsaved)
	return s, nil
}

// Tried is closed when the store was read for the first time, or could not be.
func (s *SharedRevocations) Tried() <-chan struct{} { return s.tried }

// Current says whether this node has what the store has: the last reading has succeeded.
func (s *SharedRevocations) Current() bool { return s.read.Load() }

// Share stores a revocation, which is in force on this node, and tells the other nodes. If that is not possible now it
// waits for the store, and the error is ErrNotShared; if too many wait already it is ErrNeverShared.
func (s *SharedRevocations) Share(ctx context.Context, r Revocation) error {
	err := s.keep(ctx, r)
	if err == nil {
		return nil
	}
	s.mu.Lock()
	_, waits := s.unsaved[r]
	full := !waits && len(s.unsaved) >= maxUnsaved
	if !full {
		s.unsaved[r] = struct{}{}
	}
	s.metrics.unsaved.Set(float64(len(s.unsaved)))
	s.mu.Unlock()
	if full {
		s.metrics.lost.Inc()
		return fmt.Errorf("%w: %w", ErrNeverShared, err)
	}
	s.reread.Set()
	return fmt.Errorf("%w: %w", ErrNotShared, err)
}

// keep stores a revocation.
func (s *SharedRevocations) keep(ctx context.Context, r Revocation) error {
	member, err := r.member()
	if err != nil {
		return err
	}
	message, err := json.Marshal(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if err := s.options.Store.Keep(ctx, member, r.Until, message); err != nil {
		s.metrics.keepFailed.Inc()
		return err
	}
	s.metrics.kept.Inc()
	return nil
}

// Hear takes a message of another node, or of whoever else revokes, into force. The error says what is wrong with it.
func (s *SharedRevocations) Hear(message []byte) error {
	if len(message) > maxMember {
		return errors.New("revocation: too long")
	}
	var r Revocation
	if err := r.UnmarshalJSON(message); err != nil {
		return err
	}
	if r.Until.IsZero() {
		r.Until = time.Now().Add(s.options.TTL)
	}
	s.add(r)
	s.came.Set()
	return nil
}

// Reread has the store read at once: messages may have been missed.
func (s *SharedRevocations) Reread() { s.reread.Set() }

// add takes a revocation into force. One that finds the list full is counted there; the store keeps it.
func (s *SharedRevocations) add(r Revocation) {
	fresh, err := s.options.List.Add(r)
	if err != nil || !fresh {
		return
	}
	s.mu.Lock()
	if len(s.fresh) < maxFresh {
		s.fresh = append(s.fresh, r)
	} else {
		s.overflow = true
	}
	s.mu.Unlock()
}

// Run keeps node and store the same until ctx ends. It returns nil.
func (s *SharedRevocations) Run(ctx context.Context) error {
	var enforcing sync.WaitGroup
	enforcing.Go(func() { s.enforce(ctx) })
	defer enforcing.Wait()
	for first := true; ; first = false {
		wait := rereadInterval
		if !s.follow(ctx) {
			wait = retryInterval
		}
		if first {
			close(s.tried)
		}
		select {
		case <-ctx.Done():
			s.leave()
			return nil
		case <-s.reread.C():
		case <-time.After(wait):
		}
	}
}

// leave says what is lost when the node stops.
func (s *SharedRevocations) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.unsaved) > 0 {
		s.options.Logger.Error("revocations that other nodes were not told are lost", zap.Int("revocations", len(s.unsaved)))
	}
}

// enforce has fresh revocations enforced until ctx ends; what comes in the meantime is enforced together.
func (s *SharedRevocations) enforce(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.came.C():
		}
		s.mu.Lock()
		fresh, overflow := s.fresh, s.overflow
		s.fresh, s.overflow = nil, false
		s.mu.Unlock()
		switch {
		case overflow:
			s.options.Enforce(nil)
		case len(fresh) > 0:
			s.options.Enforce(fresh)
		}
	}
}

// follow stores what waits, reads what there is, and stores what is missing there. What cannot be stored does not keep it
// from reading: the node may be allowed only that.
func (s *SharedRevocations) follow(ctx context.Context) (ok bool) {
	saved := s.save(ctx)
	stored, err := s.load(ctx)
	s.came.Set() // also after half a reading
	if err != nil {
		s.failed(ctx, err)
		return false
	}
	s.metrics.readings.Inc()
	if !s.read.Swap(true) {
		s.options.Logger.Info("revocations read", zap.Int("in_force", s.options.List.Len()))
	}
	return saved && s.restore(ctx, stored)
}

// save stores what waits for the store; false: it is not to be had.
func (s *SharedRevocations) save(ctx context.Context) (ok bool) {
	for _, r := range s.waiting() {
		if r.Until.After(time.Now()) && s.keep(ctx, r) != nil {
			return false
		}
		s.mu.Lock()
		delete(s.unsaved, r)
		s.metrics.unsaved.Set(float64(len(s.unsaved)))
		s.mu.Unlock()
	}
	return true
}

// load takes what is stored into force, and returns it without the times.
func (s *SharedRevocations) load(ctx context.Context) (stored map[Revocation]struct{}, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	malformed := 0
	stored = map[Revocation]struct{}{}
	err = s.options.Store.Kept(ctx, func(member []byte, until time.Time) {
		var r Revocation
		if len(member) > maxMember || r.UnmarshalJSON(member) != nil {
			malformed++
			return
		}
		r.Until = time.Time{}
		stored[r] = struct{}{}
		r.Until = until
		s.add(r)
	})
	s.metrics.malformed.Set(float64(malformed))
	return stored, err
}

// restore stores again what is in force here and not stored any more: a store that has lost its data gets it back from
// the nodes, and a revocation is never taken back. False: the store is not to be had.
func (s *SharedRevocations) restore(ctx context.Context, stored map[Revocation]struct{}) (ok bool) {
	restored := 0
	for _, r := range s.options.List.All() {
		key := r
		key.Until = time.Time{}
		if _, is := stored[key]; is {
			continue
		}
		if s.keep(ctx, r) != nil {
			return false
		}
		restored++
	}
	if restored > 0 {
		s.options.Logger.Info("revocations stored again", zap.Int("revocations", restored))
	}
	return true
}

// failed notes that the store is away.
func (s *SharedRevocations) failed(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	s.metrics.readingsFailed.Inc()
	if s.read.Swap(false) {
		s.options.Logger.Warn("the store of revocations is away; those made elsewhere are not known here", zap.Error(err))
	}
}

// waiting are the revocations that wait for the store.
func (s *SharedRevocations) waiting() []Revocation {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Revocation, 0, len(s.unsaved))
	for r := range s.unsaved {
		all = append(all, r)
	}
	return all
}
