package node

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/wakeup"
)

// auditDrops counts the entries that the audit log has no room for, by their message, and writes their number into the
// log once a second. Without it, 200 connections and 1,000 look the same in the log.
type auditDrops struct {
	log  *zap.Logger
	wake wakeup.Signal

	mu      sync.Mutex
	entries map[string]int // guarded by mu; messages are constant, so they are few
}

func newAuditDrops(log *zap.Logger) *auditDrops { return &auditDrops{log: log, wake: wakeup.New()} }

// count counts an entry. It may be called from any goroutine.
func (d *auditDrops) count(message string) {
	d.mu.Lock()
	if d.entries == nil {
		d.entries = map[string]int{}
	}
	d.entries[message]++
	d.mu.Unlock()
	d.wake.Set()
}

// run writes the summaries until ctx ends, the last one included.
func (d *auditDrops) run(ctx context.Context) error {
	defer d.write()
	for {
		select {
		case <-d.wake.C():
		case <-ctx.Done():
			return nil
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return nil
		}
		d.write()
	}
}

// write writes a summary of the entries since the one before, if there are any.
func (d *auditDrops) write() {
	d.mu.Lock()
	entries := d.entries
	d.entries = nil
	d.mu.Unlock()
	if len(entries) > 0 {
		d.log.Info("entries dropped", zap.Any("entries", entries))
	}
}
