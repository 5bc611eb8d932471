package transport

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/transport/relay"
)

const (
	// freshTime is the age up to which an unused connection token begins a connection without a search on other nodes.
	// Clients use tokens at once, and nodes then notify each other within redemptionDelay.
	freshTime = 2 * time.Second
	// newTime is how long a node may need to learn of all others after its start. A request waits for that for newWait,
	// with newStep between two attempts.
	newTime = 10 * time.Second
	newWait = time.Second
	newStep = 100 * time.Millisecond
	// maxUserPassing bounds the searches for owners for requests of one user, and the upgrades of the user whose owner has
	// not answered. It leaves turns of the relay to others. Further ones wait: of one user maxUserWaiting, of all
	// maxWaiting.
	maxUserPassing = 4
	maxUserWaiting = 1000
	maxWaiting     = 4096
)

// passing counts the searches for owners. Its zero value is ready for use.
type passing struct {
	mu    sync.Mutex // guards the following fields
	users map[organizationUser]*userPassing
	all   int // searches, those that wait included
}

// userPassing counts the searches for requests of one user.
type userPassing struct {
	number int           // those that wait included; guarded by passing.mu
	turns  chan struct{} // has an element for each search that does not wait
}

// begin waits until a user may have another search, for a limited time, and reports whether it has one. If so, the
// caller must call end.
func (p *passing) begin(ctx context.Context, user organizationUser, limit time.Duration) bool {
	u := p.enter(user)
	if u == nil {
		return false
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case u.turns <- struct{}{}:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	p.leave(user, u)
	return false
}

// enter counts a search; nil: too many wait.
func (p *passing) enter(user organizationUser) *userPassing {
	p.mu.Lock()
	defer p.mu.Unlock()
	u := p.users[user]
	if u == nil {
		u = &userPassing{turns: make(chan struct{}, maxUserPassing)}
	}
	if u.number >= maxUserWaiting || p.all >= maxWaiting {
		return nil
	}
	if p.users == nil {
		p.users = map[organizationUser]*userPassing{}
	}
	p.users[user] = u
	u.number++
	p.all++
	return u
}

func (p *passing) leave(user organizationUser, u *userPassing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all--
	if u.number--; u.number == 0 {
		delete(p.users, user)
	}
}

func (p *passing) end(user organizationUser) {
	p.mu.Lock()
	u := p.users[user]
	p.mu.Unlock()
	<-u.turns
	p.leave(user, u)
}

// Relayed returns the handler of requests that other nodes pass on, and of their requests for owners.
func (h *Handler) Relayed() relay.Served { return relay.Served{State: h.connectionState, Handler: h} }

// connectionState returns the state of a connection on this node. Another node names it by its id or, where it may
// begin here, by its token.
func (h *Handler) connectionState(name string) relay.State {
	token, isToken := h.tokens.parse(name, &authz.Claims{})
	if !isToken {
		var ok bool
		if token.id, ok = parseConnID(name); !ok {
			return relay.Unknown
		}
	}
	now := time.Now()
	switch c, ended := h.connections.find(token.id, now); {
	case c != nil:
		return relay.Here
	case ended:
		return relay.Ended
	case isToken && !token.foreign && h.inTime(&token, now):
		return relay.Here
	default:
		return relay.Unknown
	}
}

// mayBeElsewhere reports whether another node may have the connection that an upgrade wants to continue. An upgrade
// with a fresh token begins a connection, and need not wait for the answers of other nodes.
func (h *Handler) mayBeElsewhere(u *upgrade) bool {
	if h.options.Relay == nil || u.searched || !u.isToken || !u.token.resumes {
		return false
	}
	now := time.Now()
	switch h.connections.usedBy(u.token.id, now) {
	case usedHere:
		return false
	case usedElsewhere:
		return true
	default:
		return u.token.expires.Add(-h.tokens.ttl).Before(now.Add(-freshTime))
	}
}

// passOnPatiently is passOn for a request that only another node can answer. A node may not know the others yet just
// after its start: it tries again for a moment.
func (h *Handler) passOnPatiently(w http.ResponseWriter, r *request, token *connToken, name string) (answered bool) {
	for began := time.Now(); !h.passOn(w, r, token, name); {
		if h.draining.Load() || time.Since(h.started) > newTime || time.Since(began) > newWait {
			return false
		}
		select {
		case <-time.After(newStep):
		case <-r.Context().Done():
			return false
		}
	}
	return true
}

// passOn passes a request on to the node that has the connection of a token, its owner, and reports whether it has
// answered the request. The request must have a valid token of a user. passOn is for any request for a connection of
// another node: a WebSocket, a GET that streams or waits, a POST, a DELETE. The owner gets the request as the client
// sent it, through Handler.ServeHTTP: with method, headers, body, and the client's address. Its answer goes back piece
// by piece, however long it takes. If the client or the owner ends, the other end notices.
//
// passOn returns false at once in these cases: this node has or had the connection, another node has passed the request
// on to this one, there is no relay, or this node drains. It returns false within a second if no node has the
// connection, later while very many clients come back at once. Then the caller answers, as for an unknown id, or begins
// the connection here. name is the name for connectionState of the other nodes.
func (h *Handler) passOn(w http.ResponseWriter, r *request, token *connToken, name string) (answered bool) {
	if h.options.Relay == nil || relay.Passed(r.Context()) || h.draining.Load() ||
		h.connections.usedBy(token.id, time.Now()) == usedHere {
		return false
	}
	user := r.owner.organizationUser()
	if !h.passing.begin(r.Context(), user, h.options.Relay.Crowd()) {
		return false
	}
	address, ok := h.options.Relay.Find(r.Context(), name)
	// Only a GET without a body is upgraded: the owner must not wait for bytes of the client before it answers.
	upgrades := ok && r.Method == http.MethodGet && r.ContentLength == 0 && isWebSocket(r.Request)
	if !upgrades {
		h.passing.end(user)
	}
	if !ok {
		return false
	}
	var err error
	if upgrades {
		err = h.options.Relay.Upgrade(w, r.Request, address, hijack)
		h.passing.end(user)
	} else {
		err = h.options.Relay.Forward(w, r.Request, address)
	}
	switch {
	case errors.Is(err, relay.ErrFull):
		h.refuse(w, requestHub, refusedRelayFull)
	case errors.Is(err, relay.ErrMoved) && r.Method == http.MethodGet:
		answer(w, http.StatusOK, "") // a poll; the client sends the next one to another node
	case err != nil:
		h.refuse(w, requestHub, refusedUnknownID)
	}
	return true
}
