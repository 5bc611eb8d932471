package transport

import (
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/transport/relay"
)

const (
	// freshTime is how old a connection token that no node is known to have used may be before its connection is searched
	// on other nodes. Clients use it at once, and nodes then notify each other within redemptionDelay.
	freshTime = 2 * time.Second
	// newTime is how long a node may need to learn of all others after its start, newWait how long a request waits
	// for that, and newStep the time between two attempts.
	newTime = 10 * time.Second
	newWait = time.Second
	newStep = 100 * time.Millisecond
	// maxUserPassing bounds the requests of one user whose owner is searched.
	maxUserPassing = 16
)

// passing counts the requests whose owner is searched. Its zero value is ready for use.
type passing struct {
	mu    sync.Mutex
	users map[organizationUser]int // guarded by mu
}

// begin reports whether a user may have another request. If so, the caller must call end.
func (p *passing) begin(user organizationUser) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.users[user] >= maxUserPassing {
		return false
	}
	if p.users == nil {
		p.users = map[organizationUser]int{}
	}
	p.users[user]++
	return true
}

func (p *passing) end(user organizationUser) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.users[user]--; p.users[user] == 0 {
		delete(p.users, user)
	}
}

// Relayed returns the handler of requests that other nodes pass on, and what this node answers about a connection.
func (h *Handler) Relayed() relay.Served { return relay.Served{State: h.connectionState, Handler: h} }

// connectionState returns what this node knows about a connection, which another node names by its id or, where it may
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

// passOnPatiently is passOn for a request that only another node can answer. A node that has just started may not know
// the others yet: it tries again for a moment.
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
// answered the request. The request must have a valid token of a user. passOn is for any request that names a
// connection which this node does not have: a WebSocket, a GET that streams or waits, a POST, a DELETE. The owner gets
// the request as the client sent it, through Handler.ServeHTTP: with method, headers, body, and the client's address.
// Its answer goes back piece by piece, however long it takes. If the client or the owner ends, the other end notices.
//
// passOn returns false at once if this node has the connection or had it, if another node has passed the request on to
// this one, if there is no relay, or if this node drains. It returns false within half a second if no node has the
// connection. Then the caller answers, as for an unknown id, or begins the connection here. name is what the other
// nodes look for, see connectionState.
func (h *Handler) passOn(w http.ResponseWriter, r *request, token *connToken, name string) (answered bool) {
	if h.options.Relay == nil || relay.Passed(r.Context()) || h.draining.Load() ||
		h.connections.usedBy(token.id, time.Now()) == usedHere {
		return false
	}
	user := r.owner.organizationUser()
	if !h.passing.begin(user) {
		return false
	}
	address, ok := h.options.Relay.Find(r.Context(), name)
	h.passing.end(user)
	if !ok {
		return false
	}
	var err error
	if isWebSocket(r.Request) {
		err = h.options.Relay.Upgrade(w, r.Request, address, hijack)
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
