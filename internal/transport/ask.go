package transport

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
)

const (
	// maxAsks is how many requests to refresh this node has out at other nodes, and how many of others it works on,
	// at once; more are refused.
	maxAsks = 256
	// maxUserAsks is how many of those that this node has out may be of one user: for a connection that has ended each takes
	// askTimeout.
	maxUserAsks = 8
	// askTimeout is how long the node that has the connection may take to answer.
	askTimeout = 2 * time.Second
	// maxAskAge is how much older than now a message between nodes may seem: the difference of their clocks and its way.
	maxAskAge = 30 * time.Second
	// maxAskBytes bounds such a message. Its claims fit into a token.
	maxAskBytes = 128 << 10
)

// asks are the requests to refresh that are between nodes.
type asks struct {
	key     []byte         // authenticates messages; static
	running sync.WaitGroup // the goroutines that work on those of others

	mu      sync.Mutex               // guards the following fields
	waiting map[string]*waitingAsk   // of this node, by number
	users   map[organizationUser]int // how many of waiting each user has
	working int                      // of others
	closed  bool
}

type waitingAsk struct {
	user    organizationUser
	outcome chan<- refreshOutcome // has room for one
}

// organizationUser is a user, whose id says who it is within the organization only.
type organizationUser struct{ organization, user events.ID }

func newAsks(secret []byte) (asks, error) {
	key, err := deriveKey(secret, "refresh")
	return asks{key: key, waiting: map[string]*waitingAsk{}, users: map[organizationUser]int{}}, err
}

// ask is what nodes tell each other of a refresh. It carries what was verified, and never a token.
type ask struct {
	Number string    `json:"number"`
	Sent   time.Time `json:"sent"`
	// Connection and Claims are set if it is a question, Outcome if it is the answer to one.
	Connection string         `json:"connection,omitempty"`
	Claims     *authz.Claims  `json:"claims,omitempty"`
	Outcome    refreshOutcome `json:"outcome,omitempty"`
}

// seal makes the message: a MAC and the JSON.
func (a *asks) seal(message *ask) []byte {
	text, _ := json.Marshal(message) // can always be encoded
	return append(a.mac(text), text...)
}

func (a *asks) mac(text []byte) []byte {
	mac := hmac.New(sha256.New, a.key)
	mac.Write(text)
	return mac.Sum(nil)
}

// open checks a message. What is older than maxAskAge may be a copy of one.
func (a *asks) open(message []byte) (*ask, error) {
	if len(message) < sha256.Size || len(message) > maxAskBytes || !hmac.Equal(message[:sha256.Size], a.mac(message[sha256.Size:])) {
		return nil, errors.New("refresh: not authentic; do all nodes have the same secret?")
	}
	var opened ask
	if err := json.Unmarshal(message[sha256.Size:], &opened); err != nil || time.Since(opened.Sent).Abs() > maxAskAge {
		return nil, errors.New("refresh: malformed or old")
	}
	return &opened, nil
}

// ask asks the other nodes to refresh a connection, and waits for the one that has it.
func (h *Handler) ask(ctx context.Context, id connID, claims *authz.Claims) refreshOutcome {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	number, outcome := events.NewID().String(), make(chan refreshOutcome, 1)
	if !h.asks.begin(number, &waitingAsk{organizationUser{claims.Organization, claims.User}, outcome}) {
		return refreshFailed
	}
	defer h.asks.end(number)
	question := &ask{Number: number, Sent: time.Now(), Connection: id.String(), Claims: claims}
	if err := h.options.Forward(ctx, h.asks.seal(question)); err != nil {
		h.log.Warn("refresh not forwarded", zap.Error(err))
		return refreshFailed
	}
	select {
	case told := <-outcome:
		return told
	case <-ctx.Done():
		return refreshUnknown // no node has it
	}
}

// begin says whether there is room for another one, which end must follow then.
func (a *asks) begin(number string, w *waitingAsk) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting) >= maxAsks || a.users[w.user] >= maxUserAsks {
		return false
	}
	a.waiting[number] = w
	a.users[w.user]++
	return true
}

func (a *asks) end(number string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	user := a.waiting[number].user
	delete(a.waiting, number)
	if a.users[user]--; a.users[user] == 0 {
		delete(a.users, user)
	}
}

// Hear takes a message that another node, or this one, gave to Options.Forward. It does not wait and keeps nothing of
// message. The error says what is wrong with it.
func (h *Handler) Hear(message []byte) error {
	heard, err := h.asks.open(message)
	if err != nil {
		return err
	}
	if heard.Claims == nil {
		h.asks.mu.Lock()
		defer h.asks.mu.Unlock()
		if w := h.asks.waiting[heard.Number]; w != nil {
			select {
			case w.outcome <- heard.Outcome:
			default: // the first answer counts
			}
		}
		return nil
	}
	id, ok := parseConnID(heard.Connection)
	if !ok {
		return errors.New("refresh: not a connection")
	}
	if expires := heard.Claims.ExpiresAt; !expires.IsZero() && !expires.After(time.Now()) || !h.asks.reserve() {
		return nil // the client comes again, or gets a new connection
	}
	c, outcome := h.replaceClaims(id, heard.Claims)
	if outcome == refreshUnknown {
		h.asks.release() // another node has it
		return nil
	}
	go h.reply(c, &ask{Number: heard.Number, Sent: time.Now(), Outcome: outcome})
	return nil
}

// reply tells the node that asked. c is the connection whose subscriptions are to be looked at; nil: none.
func (h *Handler) reply(c *Conn, answer *ask) {
	defer h.asks.release()
	ctx, cancel := context.WithTimeout(h.invoking, askTimeout)
	defer cancel()
	if err := h.options.Forward(ctx, h.asks.seal(answer)); err != nil {
		h.log.Warn("refresh not answered", zap.Error(err))
	}
	if c != nil {
		c.session.Recheck(ctx)
	}
}

// reserve makes room for work that another node has asked for; false: there is none.
func (a *asks) reserve() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || a.working >= maxAsks {
		return false
	}
	a.working++
	a.running.Add(1)
	return true
}

// release ends what reserve began.
func (a *asks) release() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.working--
	a.running.Done()
}

// close refuses work from now on and waits for what was begun.
func (a *asks) close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.running.Wait()
}
