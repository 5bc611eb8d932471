package redis

import (
	"context"
	"time"

	"github.com/rte-server/rte-server/internal/backplane/resp"
)

// reconcile asks for the lanes that are wanted and not subscribed, gives up the others, and sends the PINGs.
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
			continue // the batches may have been cut
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-e.link.joins.work:
		case <-e.room:
		case <-ticker.C:
			if stall.tick(e.reads.Load(), true, e.b.options.ProbeInterval) {
				return end(endSilent, "nothing read for %s", e.b.options.ProbeTimeout)
			}
			out = e.enqueue(out, verbPing, nil)
		}
	}
}

// silence measures how long there was no progress, in ticks and not by the clock: when this process was stopped for
// a while, what it missed waits in the socket.
type progressTimer struct {
	limit    time.Duration
	progress uint64
	stalled  time.Duration
}

// tick is told how far things got, and whether they should get further; it answers that they did not for too long.
func (s *progressTimer) tick(progress uint64, expected bool, interval time.Duration) (over bool) {
	if progress != s.progress || !expected {
		s.progress, s.stalled = progress, 0
		return false
	}
	s.stalled += interval
	return s.stalled >= s.limit
}

// pending is how many lanes wait for an answer.
func (e *epoch) pending() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.awaited
}

// ask adds a command to dst, and to those that wait for an answer.
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

// word is a verb as Redis knows it.
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

// batchLanes is how many lanes a command may have. In a cluster they must be of one slot, and lanes are not.
func (o *Options) batchLanes() int {
	if o.Cluster {
		return 1
	}
	return batchLanes
}

// write sends commands. A server that does not take them within the probe timeout is lost.
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
