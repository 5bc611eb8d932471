package hub

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
)

// The codes of SubscriptionResult besides those of authz.Decision. They are part of the interface: new ones may come,
// none changes its meaning.
const (
	codeOK            = "ok"
	codeLimit         = "limit"
	codeNotSubscribed = "not_subscribed"
	codeUnauthorized  = "unauthorized"
)

// codeOf is the code of a refusal that was told in words.
func codeOf(message string) string {
	switch message {
	case refusedNotSubscribed:
		return codeNotSubscribed
	case refusedLimit:
		return codeLimit
	default:
		return (&authz.Decision{Refusal: message}).Code()
	}
}

const (
	// maxRefusals is how many calls of Subscribe with refusals are remembered, maxExplained how many items of each
	// are explained: 500 of them with eight items that took six steps are 5 MB.
	maxRefusals  = 500
	maxExplained = 8
	// maxQuoted bounds what is kept of a text that a client sent, in bytes.
	maxQuoted = 64
)

// Refusal is a Subscribe some of whose items were refused, for operators: it says what the client must not learn.
type Refusal struct {
	Trace        string        `json:"trace"` // that the client was told
	Time         time.Time     `json:"time"`
	Connection   string        `json:"connection"`
	User         string        `json:"user"`
	Organization string        `json:"organization"`
	Role         authz.Role    `json:"role"`
	Refused      int           `json:"refused"` // items; the first of them follow
	Items        []RefusedItem `json:"items"`
}

// RefusedItem is an item of a Subscribe that was refused.
type RefusedItem struct {
	EntityID    string             `json:"entityId"`
	EventName   string             `json:"eventName"`
	Code        string             `json:"code"`
	Message     string             `json:"message"`
	Explanation *authz.Explanation `json:"explanation,omitempty"` // made right after the refusal; nil: there is no more to say
}

// refusals remembers the latest refusals that clients know the trace of.
type refusals struct {
	mu   sync.Mutex // guards the following fields
	ring [maxRefusals]*Refusal
	next int
	by   map[string]*Refusal // by trace, those in ring
}

// add remembers a refusal in place of the oldest one.
func (r *refusals) add(refusal *Refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if oldest := r.ring[r.next]; oldest != nil {
		delete(r.by, oldest.Trace)
	}
	if r.by == nil {
		r.by = map[string]*Refusal{}
	}
	r.ring[r.next], r.by[refusal.Trace] = refusal, refusal
	r.next = (r.next + 1) % maxRefusals
}

func (r *refusals) find(trace string) (*Refusal, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	refusal, ok := r.by[trace]
	return refusal, ok
}

func (r *refusals) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.by)
}

// Refusal finds a refusal by the trace that a client was told. ok is false if none was, by this node, or it is too long
// ago. The answer must not be changed.
func (h *Hub) Refusal(trace string) (refusal *Refusal, ok bool) {
	return h.refusals.find(strings.ToLower(trace))
}

// annotate gives the results for a client with notices their codes, and those that were refused the trace.
func annotate(results []SubscriptionResult, trace string) {
	for i := range results {
		r := &results[i]
		if r.Subscribed {
			r.Code = codeOK
			continue
		}
		r.Code, r.TraceID = codeOf(*r.Message), trace
	}
}

// trace remembers what of a Subscribe was refused and returns what it is found by; empty: nothing was refused.
func (s *Session) trace(c *call, requests []authz.Request, results []SubscriptionResult) string {
	if s.hub.options.Authorization.Explain == nil {
		return ""
	}
	claims := s.Claims()
	var refusal *Refusal
	for i := range results {
		if results[i].Subscribed {
			continue
		}
		if refusal == nil {
			refusal = &Refusal{
				Trace: events.NewID().String(), Time: time.Now().UTC(), Connection: s.ID(),
				User: claims.User.String(), Organization: claims.Organization.String(), Role: claims.Role,
			}
		}
		if refusal.Refused++; len(refusal.Items) < maxExplained {
			refusal.Items = append(refusal.Items, s.explain(c.ctx, claims, requests[i], *results[i].Message))
		}
	}
	if refusal == nil {
		return ""
	}
	s.hub.refusals.add(refusal)
	s.hub.metrics.traced.Inc()
	return refusal.Trace
}

// explain says why an item was refused. What is temporarily unavailable is not asked a second time.
func (s *Session) explain(ctx context.Context, claims *authz.Claims, r authz.Request, message string) RefusedItem {
	item := RefusedItem{EntityID: quoted(r.EntityID), EventName: quoted(r.EventName), Code: codeOf(message), Message: message}
	if message != authz.RefusedUnavailable && message != refusedLimit {
		explanation := s.hub.options.Authorization.Explain(ctx, claims, r)
		item.Explanation = &explanation
	}
	return item
}

// quoted is the beginning of a text, in memory of its own: what it was cut from is not kept.
func quoted(text string) string {
	return strings.ToValidUTF8(strings.Clone(text[:min(len(text), maxQuoted)]), "\uFFFD")
}
