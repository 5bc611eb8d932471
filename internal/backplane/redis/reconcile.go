package redis

import (
	"context"
	"time"

	"github.com/rte-server/rte-server/internal/backplane/resp"
)

// reconcile subscribes the lanes that are wanted, unsubscribes the others, and sends the PINGs.
func (e *epoch) reconcile(ctx context.Context) error {
	ticker := time.NewTicker(e.b.options.ProbeInterval)
	defer ticker.Stop()
	stall := progressTimer{limit: e.b.options.ProbeTimeout}
	out := e.enqueue(nil, verbJoin, []*lane{e.canary})
	for {
		for e.pending() < lanesAhead && len(out) < resp.ChunkSize {
			v, lanes := e.b.index.batch(e.link, e.b.options.batchLanes())
			if len(lanes) == 0 {
				break
			}
			out = e.enqueue(out, v, lanes)
		}
		if len(out) > 0 {
			if err := e.write(out); err != nil {
				return err
			}
			out = out[:0]
			continue // there may be more batches
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-e.link.joins.work.C():
		case <-e.room.C():
		case <-ticker.C:
			if stall.tick(e.reads.Load(), true, e.b.options.ProbeInterval) {
				return end(endSilent, "nothing read for %s", e.b.options.ProbeTimeout)
			}
			out = e.enqueue(out, verbPing, nil)
		}
	}
}

// progressTimer measures how long there was no progress, in ticks and not by the clock: if this process was stopped
// for a while, the missed messages wait in the socket.
type progressTimer struct {
	limit    time.Duration
	progress uint64
	stalled  time.Duration
}

// tick takes the present progress, and whether more is expected. It reports whether there was no progress for too
// long.
func (s *progressTimer) tick(progress uint64, expected bool, interval time.Duration) (over bool) {
	if progress != s.progress || !expected {
		s.progress, s.stalled = progress, 0
		return false
	}
	s.stalled += interval
	return s.stalled >= s.limit
}

// pending returns how many lanes wait for an answer.
func (e *epoch) pending() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.awaited
}

// enqueue appends a command to dst, and to the requests that wait for an answer.
func (e *epoch) enqueue(dst []byte, v verb, lanes []*lane) []byte {
	e.mu.Lock()
	e.requests = append(e.requests, &request{verb: v, lanes: lanes})
	e.awaited += len(lanes)
	e.mu.Unlock()
	dst = resp.AppendCommand(dst, e.b.options.word(v), len(lanes))
	for _, l := range lanes {
		dst = resp.AppendBulk(dst, l.name)
	}
	return dst
}

// word returns the Redis command of a verb.
func (o *Options) word(v verb) string {
	sharded := ""
	if o.Cluster {
		sharded = "S"
	}
	switch v {
	case verbJoin:
		return sharded + "SUBSCRIBE"
	case verbLeave, verbDrop:
		return sharded + "UNSUBSCRIBE"
	default:
		return "PING"
	}
}

// batchLanes returns how many lanes a command may have. In a cluster, they would have to share a slot.
func (o *Options) batchLanes() int {
	if o.Cluster {
		return 1
	}
	return batchLanes
}

// write sends commands. A server that does not accept them within the probe timeout is lost.
func (e *epoch) write(commands []byte) error {
	err := e.conn.SetWriteDeadline(time.Now().Add(e.b.options.ProbeTimeout))
	if err == nil {
		_, err = e.conn.Write(commands)
	}
	if err != nil {
		return end(endLost, "write: %w", err)
	}
	return nil
}
