package admission

import (
	"container/list"
	"context"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// Options configure a Queue.
type Options struct {
	// Rate is the number of clients per second that come in, Burst how many may come in at once beyond it. A Rate of 0 is
	// no limit.
	Rate, Burst int
	// Wait is how long a request waits at most because of the rate, RoomWait because the node is full.
	Wait, RoomWait time.Duration
	// Capacity is the number of requests that may wait. One organization may have three quarters of them, one address a
	// half, and one user a sixteenth.
	Capacity int
	// RoomCapacity is how many of them may wait while the node is full. 0: Capacity.
	RoomCapacity int
	// Room returns how many connections the node has room for. The queue calls it with its lock held.
	Room func() int
}

// Kind is the kind of a request.
type Kind uint8

// The kinds of requests.
const (
	// Negotiate announces a connection. It needs the rate and room.
	Negotiate Kind = iota
	// Direct is an upgrade without a negotiate. It needs the rate and room.
	Direct
	// Announced is an upgrade after a negotiate, here or on another node. It needs room only, and goes first.
	Announced
	// Returning is an upgrade for a connection of this node. The connection has its place, so the upgrade never waits.
	Returning
)

// Outcome is the end of a request's wait.
type Outcome uint8

// The outcomes.
const (
	// Granted: the client may come in.
	Granted Outcome = iota
	// Full: the node had no room in time.
	Full
	// Late: the rate let too few in in time.
	Late
	// Crowded: the queue is full.
	Crowded
	// CrowdedByOrganization, CrowdedByUser and CrowdedByAddress: the organization, user or address has its part of the
	// queue already.
	CrowdedByOrganization
	CrowdedByUser
	CrowdedByAddress
	// Stopped: the queue was closed.
	Stopped
	// Gone: the client has given up.
	Gone
)

// Client is who a request is from.
type Client struct {
	Organization, User events.ID
	Network            netip.Addr // the unit in which its address is counted; zero: not counted
}

const (
	organizationPart, addressPart = 4, 2 // an organization may have all but a quarter
	userPart, leastPart           = 16, 4
	// promiseTime is how long a place is kept for a client whose negotiate has waited.
	promiseTime = 3 * time.Second
)

// user is a user of an organization.
type user struct{ organization, user events.ID }

// Queue decides when clients may come in. Any goroutine may use it.
type Queue struct {
	options  Options
	waiting  atomic.Int64 // len of both queues
	inTime   int          // requests that the rate can serve within Wait
	interval time.Duration

	mu        sync.Mutex // guards the following fields
	announced line
	lines     map[events.ID]*line // those that are not empty
	turns     []*line             // the lines, in the order of their turns
	queued    int                 // in lines
	users     map[user]int        // of requests that wait
	networks  map[netip.Addr]int  // of requests that wait
	due       time.Time           // when the next client would come in at an even rate
	entering  int                 // upgrades that were granted and not entered
	promises  []time.Time         // until when places are kept for clients that have negotiated
	timer     *time.Timer         // calls pump; nil: none is needed
	closed    bool
}

// request is a request that waits.
type request struct {
	client Client
	kind   Kind
	room   bool         // it waits for room, not for the rate
	done   chan Outcome // receives one outcome
	line   *line        // nil: it does not wait any more
	place  *list.Element
}

// New returns an open queue.
func New(o Options) *Queue {
	if o.RoomCapacity == 0 {
		o.RoomCapacity = o.Capacity
	}
	q := &Queue{
		options: o, inTime: o.Capacity, lines: map[events.ID]*line{}, users: map[user]int{}, networks: map[netip.Addr]int{},
	}
	if o.Rate > 0 {
		q.interval = time.Second / time.Duration(o.Rate)
		q.inTime = min(o.Capacity, int(o.Wait.Seconds()*float64(o.Rate)))
	}
	return q
}

// Waiting returns the number of requests that wait.
func (q *Queue) Waiting() int { return int(q.waiting.Load()) }

// WaitingForRate returns the number of requests that wait for the rate; 0 while there is no room for them.
func (q *Queue) WaitingForRate() int {
	if q.interval == 0 || q.Waiting() == 0 {
		return 0
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.announced.len() > 0 || q.roomLocked(Negotiate, time.Now()) <= 0 {
		return 0
	}
	return q.queued
}

// Capacity returns the number of requests that may wait.
func (q *Queue) Capacity() int { return q.options.Capacity }

// Crowded reports whether the queue takes no further request of any client.
func (q *Queue) Crowded() bool { return q.Waiting() >= q.options.Capacity }

// Try lets a client in if it need not wait. After an upgrade the caller must call Entered.
func (q *Queue) Try(kind Kind) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.tryLocked(kind, time.Now())
}

// Admit lets a client in, once its turn has come. It returns early if ctx ends or the queue is closed. If it grants an
// upgrade, the caller must call Entered.
func (q *Queue) Admit(ctx context.Context, kind Kind, client Client) Outcome {
	r, outcome := q.enter(kind, client)
	if r == nil {
		return outcome
	}
	patience, gone := q.patience(r), false
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	select {
	case outcome := <-r.done:
		return outcome
	case <-deadline.C:
	case <-ctx.Done():
		gone = patience > 0 // a client that may not wait gets its answer, even if it has ended its side of the stream
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case !q.leaveLocked(r):
		return <-r.done // meanwhile its turn has come
	case gone:
		return Gone
	case r.room:
		return Full
	default:
		return Late
	}
}

// Entered ends an upgrade that was granted: its connection is counted, or was refused.
func (q *Queue) Entered(kind Kind) {
	if kind == Returning {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.entering--
	if kind == Announced && len(q.promises) > 0 {
		q.promises = q.promises[1:]
	}
	q.pumpLocked()
}

// Left must be called when a connection has ended: there may be room.
func (q *Queue) Left() {
	if q.Waiting() == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pumpLocked()
}

// Close ends all waits, and those to come, with Stopped.
func (q *Queue) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.refuseLocked()
}

// Refuse ends all waits with Stopped.
func (q *Queue) Refuse() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.refuseLocked()
}

func (q *Queue) refuseLocked() {
	for r := q.nextLocked(); r != nil; r = q.nextLocked() {
		r.done <- Stopped
	}
	q.armLocked(0)
}

// enter lets a client in or puts its request into the queue. It returns no request if the outcome is certain.
func (q *Queue) enter(kind Kind, client Client) (*request, Outcome) {
	q.mu.Lock()
	defer q.mu.Unlock()
	who := user{client.Organization, client.User}
	switch {
	case q.closed:
		return nil, Stopped
	case q.tryLocked(kind, time.Now()):
		return nil, Granted
	case q.announced.len()+q.queued >= q.options.Capacity:
		return nil, Crowded
	case q.roomLocked(kind, time.Now()) <= 0 && q.Waiting() >= q.options.RoomCapacity:
		return nil, Full
	case q.users[who] >= max(q.options.Capacity/userPart, leastPart):
		return nil, CrowdedByUser
	case client.Network.IsValid() && q.networks[client.Network] >= max(q.options.Capacity/addressPart, leastPart):
		return nil, CrowdedByAddress
	}
	l := &q.announced
	if kind != Announced {
		l = q.lines[client.Organization]
		if l != nil && l.len() >= max(q.options.Capacity-q.options.Capacity/organizationPart, 1) {
			return nil, CrowdedByOrganization
		}
		if l == nil {
			l = &line{}
			q.lines[client.Organization] = l
			q.turns = append(q.turns, l)
		}
		q.queued++
	}
	r := &request{client: client, kind: kind, done: make(chan Outcome, 1)}
	r.room = kind == Announced || q.roomLocked(kind, time.Now()) <= 0
	l.push(r)
	q.users[who]++
	if client.Network.IsValid() {
		q.networks[client.Network]++
	}
	q.waiting.Add(1)
	q.pumpLocked()
	return r, 0
}

// patience returns how long a request waits. Requests that probably wait in vain wait for different times, so that
// their clients do not all come back at once: requests for room, and requests too far behind for the rate to serve in
// time.
func (q *Queue) patience(r *request) time.Duration {
	spread := rand.Float64() //nolint:gosec // it protects nothing
	switch {
	case r.room:
		return time.Duration((0.5 + 0.5*spread) * float64(q.options.RoomWait))
	case q.Waiting() > q.inTime:
		return time.Duration((0.1 + 0.9*spread) * float64(q.options.Wait))
	default:
		return q.options.Wait
	}
}

// tryLocked lets a client in if no request is in front of it, there is room, and the rate allows it.
func (q *Queue) tryLocked(kind Kind, now time.Time) bool {
	if q.closed || kind == Returning {
		return !q.closed
	}
	if q.roomLocked(kind, now) <= 0 || q.announced.len() > 0 {
		return false
	}
	if kind != Announced && (q.queued > 0 || !q.takeLocked(now)) {
		return false
	}
	if kind != Negotiate {
		q.entering++
	}
	return true
}

// roomLocked returns the number of places that are free and not kept for others.
func (q *Queue) roomLocked(kind Kind, now time.Time) int {
	for len(q.promises) > 0 && !now.Before(q.promises[0]) {
		q.promises = q.promises[1:]
	}
	room := q.options.Room() - q.entering
	if kind != Announced {
		room -= len(q.promises)
	}
	return room
}

// takeLocked takes one client from the rate, if it allows one now (generic cell rate algorithm).
func (q *Queue) takeLocked(now time.Time) bool {
	if q.interval == 0 {
		return true
	}
	if q.whenLocked().After(now) {
		return false
	}
	if q.due.Before(now) {
		q.due = now
	}
	q.due = q.due.Add(q.interval)
	return true
}

// whenLocked returns when the rate allows the next client.
func (q *Queue) whenLocked() time.Time {
	return q.due.Add(-time.Duration(max(q.options.Burst-1, 0)) * q.interval)
}

// pumpLocked lets in all whose turn it is, and sets the timer for the next one.
func (q *Queue) pumpLocked() {
	if q.Waiting() == 0 {
		q.armLocked(0)
		return
	}
	now := time.Now()
	for q.announced.len() > 0 && q.roomLocked(Announced, now) > 0 {
		q.grantLocked(q.nextLocked(), now)
	}
	wake := time.Time{}
	for q.announced.len() == 0 && q.queued > 0 {
		if q.roomLocked(Negotiate, now) <= 0 {
			if len(q.promises) > 0 {
				wake = q.promises[0]
			}
			break
		}
		if !q.takeLocked(now) {
			wake = q.whenLocked()
			break
		}
		q.grantLocked(q.nextLocked(), now)
	}
	if wake.IsZero() {
		q.armLocked(0)
	} else {
		q.armLocked(max(wake.Sub(now), time.Microsecond))
	}
}

// armLocked makes the timer call pump after a time; 0: never.
func (q *Queue) armLocked(after time.Duration) {
	switch {
	case q.timer == nil && after > 0:
		q.timer = time.AfterFunc(after, func() {
			q.mu.Lock()
			defer q.mu.Unlock()
			q.pumpLocked()
		})
	case q.timer == nil:
	case after > 0:
		q.timer.Reset(after)
	default:
		q.timer.Stop()
	}
}

// grantLocked lets a client in, and keeps a place for it.
func (q *Queue) grantLocked(r *request, now time.Time) {
	if r.kind == Negotiate {
		q.promises = append(q.promises, now.Add(promiseTime))
	} else {
		q.entering++
	}
	r.done <- Granted
}

// nextLocked takes the request whose turn it is out of the queue: the first upgrade that was announced, or else the
// first of the organization whose turn it is. nil: none waits.
func (q *Queue) nextLocked() *request {
	r := q.announced.first()
	if r == nil && len(q.turns) > 0 {
		r = q.turns[0].first()
	}
	if r != nil {
		l := r.line
		q.leaveLocked(r)
		if l != &q.announced && l.len() > 0 {
			q.turns = append(q.turns[1:], l)
		}
	}
	return r
}

// leaveLocked takes a request out of the queue. It returns false if it is not in the queue any more.
func (q *Queue) leaveLocked(r *request) bool {
	l := r.line
	if l == nil {
		return false
	}
	l.remove(r)
	q.waiting.Add(-1)
	decrement(q.users, user{r.client.Organization, r.client.User})
	if r.client.Network.IsValid() {
		decrement(q.networks, r.client.Network)
	}
	if l == &q.announced {
		return true
	}
	q.queued--
	if l.len() == 0 {
		delete(q.lines, r.client.Organization)
		q.turns = without(q.turns, l)
	}
	return true
}
