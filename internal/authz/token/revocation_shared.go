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
	// rereadInterval is the time between two readings of the store without a reason; retryInterval the time between two
	// attempts while the store is unavailable.
	rereadInterval = 10 * time.Second
	retryInterval  = time.Second
	// storeTimeout bounds one exchange with the store.
	storeTimeout = 2 * time.Second
	// maxUnsaved is the largest number of revocations that wait for an unavailable store.
	maxUnsaved = 10_000
	// maxMember is the largest revocation in the store, in bytes.
	maxMember = 2 << 10
)

// The errors of SharedRevocations.Share. The revocation is in force on this node in either case.
var (
	ErrNotShared = errors.New(
		"the other nodes do not have the revocation yet; it is sent when the store is available again",
	)
	ErrNeverShared = errors.New("the other nodes do not get the revocation, because too many wait for the store already")
)

// RevocationStore keeps revocations for all nodes. It may be used from any goroutine.
type RevocationStore interface {
	// Keep stores a revocation until a time, unless it is stored for longer already, and then sends the message to all
	// nodes.
	Keep(ctx context.Context, member []byte, until time.Time, message []byte) error
	// Kept calls each with every stored revocation in force and removes the others.
	Kept(ctx context.Context, each func(member []byte, until time.Time)) error
}

// SharedRevocationsOptions configure SharedRevocations.
type SharedRevocationsOptions struct {
	List  *Revocations    // required; of this node
	Store RevocationStore // required
	// TTL is the duration of a revocation without an end. Required.
	TTL time.Duration
	// Enforce is called by Run when revocations of other nodes have come into force on this node. A nil slice means
	// that there are too many to list. Required.
	Enforce func(fresh []Revocation)

	Logger     *zap.Logger           // default: none
	Registerer prometheus.Registerer // default: none
}

// SharedRevocations synchronizes the revocations of all nodes through a store. Its methods may be called from any
// goroutine, also before Run.
type SharedRevocations struct {
	options SharedRevocationsOptions
	metrics *sharedMetrics
	reread  wakeup.Signal // set to read the store at once
	came    wakeup.Signal // set when something fresh has come
	tried   chan struct{} // closed after the first attempt to read the store
	read    atomic.Bool   // the last reading succeeded

	mu       sync.Mutex
	unsaved  map[Revocation]struct{} // guarded by mu; they wait for the store
	fresh    []Revocation            // guarded by mu; they wait for Enforce
	overflow bool                    // guarded by mu; there were more than maxFresh
}

// maxFresh is the largest number of revocations in a call of Enforce.
const maxFresh = 1000

// NewSharedRevocations checks the options.
func NewSharedRevocations(o SharedRevocationsOptions) (*SharedRevocations, error) {
	switch {
	case o.List == nil:
		return nil, errors.New("token: SharedRevocationsOptions.List is required")
	case o.Store == nil:
		return nil, errors.New("token: SharedRevocationsOptions.Store is required")
	case o.TTL <= 0:
		return nil, errors.New("token: SharedRevocationsOptions.TTL is required")
	case o.Enforce == nil:
		return nil, errors.New("token: SharedRevocationsOptions.Enforce is required")
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

// Tried returns a Go channel that is closed after the first attempt to read the store.
func (s *SharedRevocations) Tried() <-chan struct{} { return s.tried }

// Current reports whether the last reading of the store succeeded.
func (s *SharedRevocations) Current() bool { return s.read.Load() }

// Share stores a revocation, which is in force on this node, and sends it to the other nodes. If the store is
// unavailable, the revocation waits for it and the error is ErrNotShared; if too many wait already, the error is
// ErrNeverShared.
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

// Receive puts the revocation in a message of another node or a back end into force. The error describes a malformed
// message.
func (s *SharedRevocations) Receive(message []byte) error {
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
	// A back end that revokes again what was undone need not know that.
	if r.At.IsZero() && s.options.List.undone(&r) {
		s.options.List.Order(&r)
	}
	s.add(r)
	s.came.Set()
	return nil
}

// Reread makes Run read the store at once. Call it when messages may have been missed.
func (s *SharedRevocations) Reread() { s.reread.Set() }

// add puts a revocation into force. If the list is full, it is counted there and stays in the store.
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

// Run synchronizes the node and the store until ctx ends. It returns nil.
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

// leave logs the revocations that are lost when the node stops.
func (s *SharedRevocations) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.unsaved) > 0 {
		s.options.Logger.Error(
			"revocations that could not be sent to other nodes are lost", zap.Int("revocations", len(s.unsaved)),
		)
	}
}

// enforce calls Enforce until ctx ends. Revocations that come during a call share the next one.
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

// follow stores the waiting revocations, reads the stored ones, and stores those that the store has lost. It reads even
// if it cannot store: the node may have permission only to read.
func (s *SharedRevocations) follow(ctx context.Context) (ok bool) {
	saved := s.save(ctx)
	stored, err := s.load(ctx)
	s.came.Set() // also after a reading that failed midway
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

// save stores the waiting revocations. It returns false if the store is unavailable.
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

// load puts the stored revocations into force and returns them without their ends. It applies
// revocations that undo others first, so that no undone revocation is in force for a moment.
func (s *SharedRevocations) load(ctx context.Context) (stored map[Revocation]struct{}, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	malformed := 0
	stored = map[Revocation]struct{}{}
	var all []Revocation
	err = s.options.Store.Kept(ctx, func(member []byte, until time.Time) {
		var r Revocation
		if len(member) > maxMember || r.UnmarshalJSON(member) != nil {
			malformed++
			return
		}
		r.Until = time.Time{}
		stored[r] = struct{}{}
		r.Until = until
		if r.Undone {
			s.add(r)
		} else {
			all = append(all, r)
		}
	})
	for _, r := range all {
		s.add(r)
	}
	s.metrics.malformed.Set(float64(malformed))
	return stored, err
}

// restore stores the revocations in force that the store does not have. A store that lost its data gets it back from
// the nodes this way; what was undone stays in the store until its end, too. It returns false if the store is
// unavailable.
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

// failed counts a failed reading and logs the first one.
func (s *SharedRevocations) failed(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	s.metrics.readingsFailed.Inc()
	if s.read.Swap(false) {
		s.options.Logger.Warn(
			"the store of revocations is unavailable, revocations of other nodes are unknown here", zap.Error(err),
		)
	}
}

// waiting returns the revocations that wait for the store.
func (s *SharedRevocations) waiting() []Revocation {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Revocation, 0, len(s.unsaved))
	for r := range s.unsaved {
		all = append(all, r)
	}
	return all
}
