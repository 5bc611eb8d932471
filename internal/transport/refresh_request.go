package transport

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
)

const (
	// maxRefreshRequests bounds the refresh requests of this node that other nodes have not answered. It also bounds the
	// requests of other nodes that this node works on. Further ones are refused.
	maxRefreshRequests = 256
	// maxUserRequests bounds the unanswered refresh requests of one user. One for a connection that no node has takes
	// Timeouts.Refresh.
	maxUserRequests = 8
	// maxMessageAge bounds the age of a message between nodes: the difference of their clocks and the time on the way.
	maxMessageAge = 30 * time.Second
	// maxMessageBytes bounds a message between nodes. Its claims fit into a token.
	maxMessageBytes = 128 << 10
)

// refreshRequests are the refresh requests between this node and others.
type refreshRequests struct {
	keys    atomic.Pointer[[][]byte] // the first seals messages, all open them; of Handler.SetSecrets
	running sync.WaitGroup           // the goroutines that work on requests of other nodes

	mu      sync.Mutex                 // guards the following fields
	waiting map[string]*waitingRequest // requests of this node, by number
	users   map[organizationUser]int   // how many of waiting each user has
	working int                        // requests of other nodes
	closed  bool
}

// waitingRequest is a refresh request of this node without an answer.
type waitingRequest struct {
	user   organizationUser
	answer chan<- *refreshMessage // has room for one
}

// organizationUser is a user. The id of a user is unique within the organization only.
type organizationUser struct{ organization, user events.ID }

// newRefreshRequests makes refresh requests without a key.
func newRefreshRequests() *refreshRequests {
	return &refreshRequests{waiting: map[string]*waitingRequest{}, users: map[organizationUser]int{}}
}

// refreshMessage is a refresh request, or the answer to one, on its way between nodes. It carries verified claims,
// never a token.
type refreshMessage struct {
	Number string    `json:"number"`
	Sent   time.Time `json:"sent"`
	// A request has Connection and Claims, an answer has Outcome and the expiry in force.
	Connection string         `json:"connection,omitempty"`
	Claims     *authz.Claims  `json:"claims,omitempty"`
	Outcome    refreshOutcome `json:"outcome,omitempty"`
	Expires    time.Time      `json:"expires,omitzero"`
}

// seal encodes a message: a MAC and the JSON.
func (rs *refreshRequests) seal(message *refreshMessage) []byte {
	text, _ := json.Marshal(message) // every message can be encoded
	return append(messageMAC((*rs.keys.Load())[0], text), text...)
}

func messageMAC(key, text []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(text)
	return mac.Sum(nil)
}

// open checks and decodes a message. It refuses one that is older than maxMessageAge, which may be a copy.
func (rs *refreshRequests) open(message []byte) (*refreshMessage, error) {
	if len(message) < sha256.Size || len(message) > maxMessageBytes || !authentic(message, *rs.keys.Load()) {
		return nil, errors.New("refresh: not authentic; do all nodes have the same secret?")
	}
	var opened refreshMessage
	err := json.Unmarshal(message[sha256.Size:], &opened)
	if err != nil || time.Since(opened.Sent).Abs() > maxMessageAge {
		return nil, errors.New("refresh: malformed or old")
	}
	return &opened, nil
}

// authentic reports whether a message was sealed with one of the keys.
func authentic(message []byte, keys [][]byte) bool {
	return slices.ContainsFunc(keys, func(key []byte) bool {
		return hmac.Equal(message[:sha256.Size], messageMAC(key, message[sha256.Size:]))
	})
}

// forwardRefresh sends a refresh request to all other nodes and waits for the answer of the one that has the
// connection, or had it. It returns refreshUnknown if none answers.
func (h *Handler) forwardRefresh(
	ctx context.Context, id connID, claims *authz.Claims,
) (outcome refreshOutcome, expires time.Time) {
	ctx, cancel := context.WithTimeout(ctx, h.options.Timeouts.Refresh)
	defer cancel()
	number, answers := events.NewID().String(), make(chan *refreshMessage, 1)
	if !h.requests.begin(number, &waitingRequest{organizationUser{claims.Organization, claims.User}, answers}) {
		return refreshFailed, time.Time{}
	}
	defer h.requests.end(number)
	request := &refreshMessage{Number: number, Sent: time.Now(), Connection: id.String(), Claims: claims}
	if err := h.options.Refresh.Forward(ctx, h.requests.seal(request)); err != nil {
		h.log.Warn("refresh not forwarded", zap.Error(err))
		return refreshFailed, time.Time{}
	}
	select {
	case answer := <-answers:
		return answer.Outcome, answer.Expires
	case <-ctx.Done():
		return refreshUnknown, time.Time{}
	}
}

// begin adds a request of this node and reports whether there was room. If so, the caller must call end.
func (rs *refreshRequests) begin(number string, w *waitingRequest) bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if len(rs.waiting) >= maxRefreshRequests || rs.users[w.user] >= maxUserRequests {
		return false
	}
	rs.waiting[number] = w
	rs.users[w.user]++
	return true
}

func (rs *refreshRequests) end(number string) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	user := rs.waiting[number].user
	delete(rs.waiting, number)
	if rs.users[user]--; rs.users[user] == 0 {
		delete(rs.users, user)
	}
}

// answered hands an answer to the request that waits for it. Only the first answer counts.
func (rs *refreshRequests) answered(answer *refreshMessage) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if w := rs.waiting[answer.Number]; w != nil {
		select {
		case w.answer <- answer:
		default:
		}
	}
}

// HandleRefresh handles a message that a node, possibly this one, passed to Options.Forward. It does not wait and keeps
// nothing of message. The error describes a message that is not valid.
func (h *Handler) HandleRefresh(message []byte) error {
	received, err := h.requests.open(message)
	if err != nil {
		return err
	}
	if received.Claims == nil {
		h.requests.answered(received)
		return nil
	}
	id, ok := parseConnID(received.Connection)
	if !ok {
		return errors.New("refresh: not a connection")
	}
	expired := time.Now().Add(-h.options.Tokens.Leeway)
	if expires := received.Claims.ExpiresAt; !expires.IsZero() && !expires.After(expired) || !h.requests.reserve() {
		return nil // the client tries again, or gets a new connection
	}
	c, outcome, expires := h.replaceClaims(id, received.Claims)
	if outcome == refreshUnknown {
		h.requests.release() // another node has the connection
		return nil
	}
	go h.answerRefreshRequest(c, &refreshMessage{
		Number: received.Number, Sent: time.Now(), Outcome: outcome, Expires: expires,
	})
	return nil
}

// answerRefreshRequest sends the answer to the node that sent the request. Then it rechecks the subscriptions of c;
// nil: there is nothing to recheck.
func (h *Handler) answerRefreshRequest(c *Conn, answer *refreshMessage) {
	defer h.requests.release()
	ctx, cancel := context.WithTimeout(h.invoking, h.options.Timeouts.Refresh)
	defer cancel()
	if err := h.options.Refresh.Forward(ctx, h.requests.seal(answer)); err != nil {
		h.log.Warn("refresh not answered", zap.Error(err))
	}
	if c != nil {
		c.session.Recheck(ctx)
	}
}

// reserve reports whether there is room for work on a request of another node. If so, the caller must call release.
func (rs *refreshRequests) reserve() bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.closed || rs.working >= maxRefreshRequests {
		return false
	}
	rs.working++
	rs.running.Add(1)
	return true
}

// release ends the work that reserve began.
func (rs *refreshRequests) release() {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.working--
	rs.running.Done()
}

// close refuses work from now on and waits for the work under way.
func (rs *refreshRequests) close() {
	rs.mu.Lock()
	rs.closed = true
	rs.mu.Unlock()
	rs.running.Wait()
}
