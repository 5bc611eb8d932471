package redis

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/redis/command"
	"github.com/rte-server/rte-server/internal/backplane/sequence"
)

// clockless is how far a server's clock may differ from this node's, where the node is not permitted to read it.
const clockless = 5 * time.Second

// probe publishes canaries like events, and expects each on the connection of this epoch. It detects what a PING
// cannot: a connection to a server that is no longer the master, or that lost its subscriptions. A canary that Redis
// refused proves nothing about the connection; it only shows that events cannot be published.
func (e *epoch) probe(ctx context.Context) error {
	select {
	case <-e.confirmed:
	case <-ctx.Done():
		return ctx.Err()
	}
	ticker := time.NewTicker(e.b.options.ProbeInterval)
	defer ticker.Stop()
	stall := progressTimer{limit: e.b.options.ProbeTimeout}
	var taken uint64 // the number of the last canary that Redis accepted
	for number := uint64(1); ; number++ {
		if err := e.sendCanary(ctx, number); err == nil {
			taken = number
		} else if ctx.Err() == nil {
			e.link.set(backplane.Health{Detail: e.link.name + ": publish: " + err.Error()})
			e.b.log.Warn("canary not published", func() []zap.Field { return []zap.Field{zap.Error(err)} })
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		if last := e.canaries.Load(); stall.tick(last, last < taken, e.b.options.ProbeInterval) {
			return end(endCanary, "did not arrive for %s", e.b.options.ProbeTimeout)
		}
	}
}

// sendCanary publishes a canary. It carries the time of the server: everything published before that time arrives
// before the canary.
func (e *epoch) sendCanary(ctx context.Context, number uint64) error {
	ctx, cancel := context.WithTimeout(ctx, e.b.options.CommandTimeout)
	defer cancel()
	requested := time.Now()
	serverTime, err := e.server.clock(ctx)
	if command.Denied(err) {
		requested = requested.Add(-clockless)
		serverTime = backplane.StreamID{Milliseconds: uint64(requested.UnixMilli())}
	} else if err != nil {
		return err
	}
	payload := fmt.Sprintf("%d %d %d %s", number, requested.Sub(e.started), time.Since(e.started), serverTime)
	return command.Publish(ctx, e.link.commands, e.b.options.Cluster, e.canary.name, payload).Err()
}

// canaryArrived takes a canary that came back.
func (e *epoch) canaryArrived(payload []byte) {
	var number uint64
	var requested, sent time.Duration
	var text string
	if _, err := fmt.Sscan(string(payload), &number, &requested, &sent, &text); err != nil {
		return
	}
	serverTime, ok := backplane.ParseStreamID(text)
	if !ok {
		return
	}
	now := time.Now()
	e.era = &sequence.Era{ServerTime: serverTime, At: now, Requested: e.started.Add(requested)}
	e.b.metrics.canary.Observe((now.Sub(e.started) - sent).Seconds())
	if e.canaries.Swap(number) == 0 {
		e.link.proven(now)
	}
	e.link.proof.Store(int64(now.Sub(e.b.started)))
	e.link.set(backplane.Health{Connected: true})
}

// proven records that the present epoch works, and how long no epoch did.
func (k *link) proven(now time.Time) {
	before := time.Duration(k.proof.Swap(int64(now.Sub(k.b.started))))
	k.lapsed.Store(0)
	k.healthy.Store(true)
	if before > 0 {
		k.b.metrics.outage.Observe((now.Sub(k.b.started) - before).Seconds())
	}
}
