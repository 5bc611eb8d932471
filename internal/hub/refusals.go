package hub

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
)

// The codes of SubscriptionResult besides those of authz.Decision. They are part of the published interface: new ones
// may be added, none changes its meaning.
const (
	codeOK            = "ok"
	codeLimit         = "limit"
	codeNotSubscribed = "not_subscribed"
	codeUnauthorized  = "unauthorized"
)

// codeOf returns the code of a refusal that has a message.
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
	// maxRefusals is the number of calls of Subscribe with refusals that are kept, maxExplained the number of items of
	// each that are explained: 500 of them with eight items of six steps take 5 MB.
	maxRefusals  = 500
	maxExplained = 8
	// maxQuoted bounds the part of a text of a client that is kept, in bytes.
	maxQuoted = 64
)

// Refusal is a Subscribe with refused items, for operators. It contains reasons that the client must not learn.
type Refusal struct {
	Trace        string        `json:"trace"` // that the client received
	Time         time.Time     `json:"time"`
	Connection   string        `json:"connection"`
	User         string        `json:"user"`
	Organization string        `json:"organization"`
	Role         authz.Role    `json:"role"`
	Refused      int           `json:"refused"` // number of items; the first of them follow
	Items        []RefusedItem `json:"items"`
}

// RefusedItem is a refused item of a Subscribe.
type RefusedItem struct {
	EntityID  string `json:"entityId"`
	EventName string `json:"eventName"`
	Code      string `json:"code"`
	Message   string `json:"message"`
	// Explanation was made right after the refusal. nil: the message is all there is.
	Explanation *authz.Explanation `json:"explanation,omitempty"`
}

// refusals keeps the latest refusals whose trace clients have.
type refusals struct {
	mu      sync.Mutex // guards the following fields
	ring    [maxRefusals]*Refusal
	next    int
	byTrace map[string]*Refusal // those in ring
}

// add keeps a refusal in place of the oldest one.
func (r *refusals) add(refusal *Refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if oldest := r.ring[r.next]; oldest != nil {
		delete(r.byTrace, oldest.Trace)
	}
	if r.byTrace == nil {
		r.byTrace = map[string]*Refusal{}
	}
	r.ring[r.next], r.byTrace[refusal.Trace] = refusal, refusal
	r.next = (r.next + 1) % maxRefusals
}

func (r *refusals) find(trace string) (*Refusal, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	refusal, ok := r.byTrace[trace]
	return refusal, ok
}

func (r *refusals) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.byTrace)
}

// Refusal finds a refusal by the trace that a client received. ok is false if this node made no such refusal, or has
// forgotten it. The caller must not change the refusal.
func (h *Hub) Refusal(trace string) (refusal *Refusal, ok bool) {
	return h.refusals.find(strings.ToLower(trace))
}

// annotate adds the codes that a client with notices receives, and the trace to refused results.
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

// trace keeps the refused items of a Subscribe and returns their trace; empty: nothing was refused.
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

// explain describes a refused item. It does not explain an item that is temporarily unavailable: that would ask the
// directory a second time.
func (s *Session) explain(ctx context.Context, claims *authz.Claims, r authz.Request, message string) RefusedItem {
	item := RefusedItem{
		EntityID: quoted(r.EntityID), EventName: quoted(r.EventName), Code: codeOf(message), Message: message,
	}
	if message != authz.RefusedUnavailable && message != refusedLimit {
		explanation := s.hub.options.Authorization.Explain(ctx, claims, r)
		item.Explanation = &explanation
	}
	return item
}

// quoted returns the beginning of a text in memory of its own, so that the rest of the message is not kept.
func quoted(text string) string {
	return strings.ToValidUTF8(strings.Clone(text[:min(len(text), maxQuoted)]), "\uFFFD")
}
