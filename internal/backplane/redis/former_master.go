package redis

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/backplane"
)

// formerMasterSpan is how long a former master is watched. Sentinels notify it within some ten seconds.
const formerMasterSpan = time.Minute

// watchFormerMaster watches a master that was replaced. It may not know that yet, and accept events of publishers that
// do not know it either: this node is no longer subscribed there, and the journal of that server will be discarded.
// When the server knows, or the span is over, the lanes report a loss.
func (k *link) watchFormerMaster(ctx context.Context, address string) {
	ctx, cancel := context.WithTimeout(ctx, formerMasterSpan)
	defer cancel()
	from := k.b.started.Add(time.Duration(k.proof.Load()))
	took := false
	for ctx.Err() == nil && !k.at(address) {
		server, err := k.b.options.openServer(ctx, address)
		if errors.Is(err, errReplica) {
			break
		}
		if err == nil {
			took = true
			_ = server.Close()
		}
		select {
		case <-ctx.Done():
		case <-time.After(k.b.options.ProbeInterval):
		}
	}
	if errors.Is(ctx.Err(), context.Canceled) || !took {
		return
	}
	k.b.logger.Warn("former redis master accepted commands for a while",
		zap.String("address", address), zap.Duration("for", time.Since(from)))
	for _, l := range k.b.index.begunAt(k.group) {
		k.b.post(l, formerMasterPublished{from: from})
	}
}

// formerMasterPublished reports that events of the lane may have been published where this node was no longer
// subscribed.
type formerMasterPublished struct {
	from time.Time
}

func (n formerMasterPublished) run(w *worker, l *lane, now time.Time) {
	if l.started {
		w.Lost(backplane.Loss{From: n.from, To: now, Reason: backplane.LossFork})
	}
}

// begunAt returns the lanes of a server whose order goes on. They may be unsubscribed for the moment: after a failover
// all of them are subscribed again, which takes a while, and connections may end meanwhile.
func (t *laneIndex) begunAt(g *group) (lanes []*lane) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range t.lanes {
		if k := l.link.Load(); l.handle == nil && l.begun && k != nil && k.group == g {
			lanes = append(lanes, l)
		}
	}
	return lanes
}
