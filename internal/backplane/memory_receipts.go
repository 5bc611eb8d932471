package backplane

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	// memoryReceipts bounds the receipts of a Memory, in bytes. Above it, Begin refuses new requests until some
	// receipts expire: a receipt is kept for as long as was promised.
	memoryReceipts = 64 << 20
	// receiptCost is the memory of a receipt beside its text.
	receiptCost = 250
)

var errReceipts = fmt.Errorf("%w: too many requests are remembered already", ErrUnavailable)

// receipts are the receipts of one process.
type receipts struct {
	mu    sync.Mutex
	kept  map[string]receipt // guarded by mu; by key
	bytes int                // guarded by mu; of all receipts, with receiptCost
	swept time.Time          // guarded by mu
}

// receipt is the outcome of a request.
type receipt struct {
	text  string
	state string
	until time.Time
}

// Begin implements Receipts.
func (m *Memory) Begin(_ context.Context, key string, lease time.Duration) (known string, running bool, err error) {
	r, now := &m.receipts, time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.kept[key]
	if now.After(before.until) {
		before = receipt{}
	}
	switch before.state {
	case ReceiptRunning:
		return "", true, nil
	case ReceiptFinal:
		return before.text, false, nil
	}
	return before.text, false, r.putLocked(key, receipt{state: ReceiptRunning, until: now.Add(lease)}, now)
}

// End implements Receipts.
func (m *Memory) End(_ context.Context, key, text string, final bool, keep time.Duration) error {
	r, now := &m.receipts, time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	state := ReceiptPartial
	if final {
		state = ReceiptFinal
	}
	return r.putLocked(key, receipt{text, state, now.Add(keep)}, now)
}

// putLocked stores a receipt if there is room or it replaces another one, so that a request that has begun can end. It
// removes expired receipts each minute, and each second while there is no room.
func (r *receipts) putLocked(key string, next receipt, now time.Time) error {
	if r.kept == nil {
		r.kept = map[string]receipt{}
	}
	if idle := now.Sub(r.swept); idle > time.Minute || idle > time.Second && r.bytes > memoryReceipts {
		r.swept = now
		for key, old := range r.kept {
			if now.After(old.until) {
				r.bytes -= len(old.text) + receiptCost
				delete(r.kept, key)
			}
		}
	}
	old, known := r.kept[key]
	switch {
	case known:
		r.bytes -= len(old.text) + receiptCost
	case r.bytes > memoryReceipts:
		return errReceipts
	}
	r.kept[key] = next
	r.bytes += len(next.text) + receiptCost
	return nil
}
