package backplane

import (
	"context"
	"time"
)

// Batches is the part of a Backplane that takes many events at once and remembers who sent them.
type Batches interface {
	Receipts

	// PublishBatch publishes events in their order. It answers nil if all got through, else one error for each, as
	// Publish has them. An event with ErrUnavailable may have got through, and so may those behind it: published
	// again, nodes know them by their Ids. The batch is the caller's again afterwards.
	PublishBatch(ctx context.Context, batch [][]byte) []error
}

// Receipts remember, for all nodes, what became of requests that may come again. Their methods may be called from
// any goroutine; their errors wrap ErrUnavailable.
type Receipts interface {
	// Begin answers what is known of the request with this key. Nothing: it is running from now on, until End or for
	// as long as lease. running: it is. Otherwise known is the text of End; if that was not final, the request is
	// running again.
	Begin(ctx context.Context, key string, lease time.Duration) (known string, running bool, err error)
	// End records the text, which is kept for so long.
	End(ctx context.Context, key, text string, final bool, keep time.Duration) error
}

// The states of a request. Begin with each begins what is kept of it.
const (
	ReceiptRunning = "~"
	ReceiptFinal   = "="
	ReceiptPartial = "+"
)
