package redis

import (
	"context"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
)

// probe publishes canaries on the way that events take, and expects each on this epoch's connection. It finds what a
// PING cannot: a connection to a server that is no longer the master, or whose subscriptions are gone. A canary that
// Redis did not take proves nothing against the connection; then the node only knows that nobody can publish.
func (e *epoch) probe(ctx context.Context) error {
	select {
	case <-e.listen:
	case <-ctx.Done():
		return ctx.Err()
	}
	ticker := time.NewTicker(e.b.options.ProbeInterval)
	defer ticker.Stop()
	silence := silence{limit: e.b.options.ProbeTimeout}
	var taken uint64 // the number of the last canary that Redis took
	for number := uint64(1); ; number++ {
		if err := e.release(ctx, number); err == nil {
			taken = number
		} else if ctx.Err() == nil {
			e.b.setHealth(false, "publish: "+err.Error())
			e.b.log.Warn("canary not published", func() []zap.Field { return []zap.Field{zap.Error(err)} })
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		if heard := e.heard.Load(); silence.tick(heard, heard < taken, e.b.options.ProbeInterval) {
			return end(endCanary, "not heard for %s", e.b.options.ProbeTimeout)
		}
	}
}

// release publishes a canary.
func (e *epoch) release(ctx context.Context, number uint64) error {
	ctx, cancel := context.WithTimeout(ctx, e.b.options.CommandTimeout)
	defer cancel()
	payload := strconv.FormatUint(number, 10) + " " + strconv.FormatInt(int64(time.Since(e.started)), 10)
	return e.b.send(ctx, e.canary.name, payload)
}

// hear takes a canary that arrived.
func (e *epoch) hear(payload []byte) {
	first, second, _ := strings.Cut(string(payload), " ")
	number, err1 := strconv.ParseUint(first, 10, 64)
	sent, err2 := strconv.ParseInt(second, 10, 64)
	if err1 != nil || err2 != nil {
		return
	}
	if e.heard.Swap(number) == 0 {
		e.b.proven()
	}
	e.b.metrics.canary.Observe((time.Since(e.started) - time.Duration(sent)).Seconds())
	e.b.setHealth(true, "")
}
