package backplane

import (
	"context"
	"time"
)

// Publisher sends events to all nodes.
type Publisher interface {
	// Publish sends one event, as published JSON. The error wraps events.ErrMalformed if data is not an event, and
	// ErrUnavailable or ErrRefused if the event did not get through or may not have.
	Publish(ctx context.Context, data []byte) error
	// PublishBatch publishes events in their order. It returns nil if all got through, else one error for each event,
	// as from Publish. An event with ErrUnavailable may have got through, and so may those behind it. They may be
	// published again: nodes recognize them by their Ids. The batch belongs to the caller again afterwards.
	PublishBatch(ctx context.Context, batch [][]byte) []error
}

// Receipts remember, for all nodes, the outcome of requests that may be repeated. Their errors wrap ErrUnavailable.
type Receipts interface {
	// Begin returns what is known of the request with this key. If nothing is known, the request counts as running from
	// now on, until End or for as long as lease. running reports that it already was. Otherwise known is the text of
	// End; if that text was not final, the request counts as running again.
	Begin(ctx context.Context, key string, lease time.Duration) (known string, running bool, err error)
	// End records the text and keeps it for the given time.
	End(ctx context.Context, key, text string, final bool, keep time.Duration) error
}

// The states of a request. A stored receipt begins with one of them.
const (
	ReceiptRunning = "~"
	ReceiptFinal   = "="
	ReceiptPartial = "+"
)
