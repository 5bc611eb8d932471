package redis

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/redis/command"
	"github.com/rte-server/rte-server/internal/backplane/resp"
	"github.com/rte-server/rte-server/internal/backplane/sequence"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/wakeup"
)

const (
	// repairers is how many reads of journals a link has under way at once.
	repairers = 2
	// laneReads is how many lanes one read covers: usually many lanes have little to repair.
	laneReads = 200
	// entryReads bounds the entries of one read.
	entryReads = laneReads * 50
)

// journal queues the lanes of a link whose journals must be read, first come first served. A lane with much to read
// goes to the end of the queue after every page.
type journal struct {
	mu    sync.Mutex
	lanes []*lane                 // guarded by mu
	reads map[*lane]sequence.Read // guarded by mu; by lane
	work  wakeup.Signal           // set when lanes is not empty
}

func newJournal() *journal {
	return &journal{reads: map[*lane]sequence.Read{}, work: wakeup.New()}
}

// add queues a read. A lane has at most one read: a later one replaces one that has not begun.
func (j *journal) add(l *lane, r sequence.Read) {
	j.mu.Lock()
	if _, queued := j.reads[l]; !queued {
		j.lanes = append(j.lanes, l)
	}
	j.reads[l] = r
	j.mu.Unlock()
	j.work.Set()
}

// putBack queues reads again, unless their lanes have a later one.
func (j *journal) putBack(reads []laneRead) {
	j.mu.Lock()
	for _, r := range reads {
		if _, queued := j.reads[r.lane]; !queued {
			j.lanes = append(j.lanes, r.lane)
			j.reads[r.lane] = r.Read
		}
	}
	j.mu.Unlock()
	j.work.Set()
}

// laneRead is a read for a lane.
type laneRead struct {
	lane *lane
	sequence.Read
}

// take removes reads from the queue that fit into one call, at most the given number.
func (j *journal) take(most int) []laneRead {
	j.mu.Lock()
	defer j.mu.Unlock()
	var reads []laneRead
	for count := 0; len(j.lanes) > 0 && len(reads) < most; {
		l := j.lanes[0]
		read := j.reads[l]
		if count += read.Count; count > entryReads && len(reads) > 0 {
			break
		}
		j.lanes = j.lanes[1:]
		delete(j.reads, l)
		reads = append(reads, laneRead{l, read})
	}
	if len(j.lanes) > 0 {
		j.work.Set()
	}
	return reads
}

// repair reads journals for the lanes that need it, as long as the epoch lives. It retries a failed read; if the epoch
// ends meanwhile, the lanes will request another read. The journals of many lanes may exceed what one command can
// return in its time, or more than replyLimits; then repair reads fewer at once. Of a single lane it then reads fewer
// entries; an entry that is too large by itself is lost.
func (e *epoch) repair(ctx context.Context) error {
	most := laneReads
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-e.link.journal.work.C():
		}
		for {
			if err := e.afterJoins(ctx); err != nil {
				return err
			}
			reads := e.link.journal.take(most)
			if len(reads) == 0 {
				break
			}
			if err := e.b.pages.wait(ctx); err != nil {
				return err
			}
			wait := 20 * time.Millisecond
			pages, err := e.read(ctx, reads)
			for ; err != nil; pages, err = e.read(ctx, reads) {
				e.b.metrics.readErrors.Inc()
				e.b.log.Warn("journal not read", func() []zap.Field { return []zap.Field{zap.Error(err)} })
				most = max(1, len(reads)/2)
				if len(reads) == 1 && errors.Is(err, resp.ErrTooLarge) {
					if reads[0].Count == 1 {
						pages = []*sequence.Page{{Generation: reads[0].Generation, Failed: true}}
						break
					}
					reads[0].Count = max(1, reads[0].Count/4)
				}
				e.link.journal.putBack(reads[most:])
				reads = reads[:most]
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(wait):
					wait = min(2*wait, time.Second)
				}
			}
			most = min(most+1, laneReads)
			e.b.postPages(reads, pages)
			if err := e.readLater(ctx, reads, pages); err != nil {
				return err
			}
		}
	}
}

// redirectPause is how long a repair waits if all its lanes were moving to another server.
const redirectPause = 50 * time.Millisecond

// readLater puts back the reads without a page: the server sent their lanes elsewhere. The new link of a lane reads
// its journal after it has subscribed the lane.
func (e *epoch) readLater(ctx context.Context, reads []laneRead, pages []*sequence.Page) error {
	var left []laneRead
	done := false
	for i, r := range reads {
		switch {
		case pages[i] != nil:
			done = true
		case r.lane.link.Load() == e.link:
			left = append(left, r)
		}
	}
	if len(left) == 0 {
		return nil
	}
	e.b.metrics.readErrors.Inc()
	e.link.journal.putBack(left)
	if done {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(redirectPause):
		return nil
	}
}

// joinsFirst is how long the repairs of an epoch leave the processors to its subscriptions, and joinsTick how often
// they check.
const (
	joinsFirst = 5 * time.Second
	joinsTick  = 5 * time.Millisecond
)

// afterJoins waits while many lanes are unconfirmed: events published on lanes without a journal are lost meanwhile,
// and events in a journal are only late.
func (e *epoch) afterJoins(ctx context.Context) error {
	for e.pending() > lanesAhead/2 && time.Since(e.started) < joinsFirst {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(joinsTick):
		}
	}
	return nil
}

// pageMemory bounds the bytes of journals that wait for their lanes. A lane has one page at most.
const pageMemory = 16 << 20

// pages bounds the entries that were read from journals and not yet taken by their lanes. So a lane whose organization
// has to wait does not hold up the repair of others.
type pages struct {
	bytes atomic.Int64
	room  wakeup.Signal // set when a page was taken
}

// wait waits until there is room.
func (p *pages) wait(ctx context.Context) error {
	for p.bytes.Load() > pageMemory {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.room.C():
		}
	}
	p.room.Set() // for other goroutines that wait
	return nil
}

// postPages posts the pages to their lanes.
func (b *Backplane) postPages(reads []laneRead, pages []*sequence.Page) {
	for i, r := range reads {
		if pages[i] == nil {
			continue
		}
		n := &page{page: pages[i], latest: r.Latest}
		for j := range n.page.Entries {
			n.size += int64(len(n.page.Entries[j].Event.Data)) + entryCost
		}
		b.pages.bytes.Add(n.size)
		b.post(r.lane, n)
	}
}

// page brings a part of a journal to its lane.
type page struct {
	page   *sequence.Page
	latest bool // for an audit
	size   int64
}

func (n *page) run(w *worker, l *lane, now time.Time) {
	defer w.b.pages.room.Set()
	defer w.b.pages.bytes.Add(-n.size)
	for i := range n.page.Entries {
		m := &n.page.Entries[i]
		if m.Event.Data != nil {
			m.Event, _ = w.b.receiver.DecodeAgain(l.organization, m.Event.Data)
		}
	}
	if n.latest {
		l.sequence.Audited(w, now, n.page)
		return
	}
	l.sequence.Page(w, now, n.page)
}

// read reads the counters and then the journals. The order matters: an event that is counted and not among the entries
// is lost. The lanes were subscribed before, on the same server: events added after the read arrive by themselves.
func (e *epoch) read(ctx context.Context, reads []laneRead) ([]*sequence.Page, error) {
	ctx, cancel := context.WithTimeout(ctx, e.b.options.CommandTimeout)
	defer cancel()
	if !e.b.options.Cluster && alike(reads) {
		if pages, err := e.readTogether(ctx, reads); err == nil {
			return pages, nil
		}
		// A lane that cannot be read must not prevent the others from being read.
	}
	return e.readEach(ctx, reads)
}

// alike reports whether the reads fit into one command.
func alike(reads []laneRead) bool {
	return len(reads) > 1 && !slices.ContainsFunc(reads, func(r laneRead) bool {
		return r.Latest || r.Count != reads[0].Count
	})
}

// readTogether reads all lanes with two commands. A lane without new entries costs next to nothing.
func (e *epoch) readTogether(ctx context.Context, reads []laneRead) ([]*sequence.Page, error) {
	counters := make([]string, len(reads))
	streams := make([]string, 2*len(reads))
	for i, r := range reads {
		counters[i] = command.CounterKey(r.lane.name)
		streams[i], streams[len(reads)+i] = command.JournalKey(r.lane.name), r.After.String()
	}
	pipe := e.server.Pipeline()
	numbers := pipe.MGet(ctx, counters...)
	entries := pipe.XRead(ctx, &goredis.XReadArgs{Streams: streams, Count: int64(reads[0].Count), Block: -1})
	if _, err := pipe.Exec(ctx); err != nil && !isNil(err) {
		return nil, err
	}
	byKey := make(map[string]*sequence.Page, len(reads))
	pages := make([]*sequence.Page, len(reads))
	for i, r := range reads {
		pages[i] = &sequence.Page{Generation: r.Generation}
		if text, ok := numbers.Val()[i].(string); ok {
			pages[i].Counter = counterOf(text)
		}
		byKey[streams[i]] = pages[i]
	}
	for _, stream := range entries.Val() {
		if p := byKey[stream.Stream]; p != nil {
			p.Entries = entriesOf(stream.Messages)
			p.More = len(stream.Messages) >= reads[0].Count
		}
	}
	return pages, nil
}

// readEach reads each lane with its own commands. A lane that the server sent elsewhere has no page. An error concerns
// all lanes.
func (e *epoch) readEach(ctx context.Context, reads []laneRead) ([]*sequence.Page, error) {
	pipe := e.server.Pipeline()
	counters := make([]*goredis.StringCmd, len(reads))
	entries := make([]*goredis.XMessageSliceCmd, len(reads))
	for i, r := range reads {
		counters[i] = pipe.Get(ctx, command.CounterKey(r.lane.name))
		if r.Latest {
			entries[i] = pipe.XRevRangeN(ctx, command.JournalKey(r.lane.name), "+", "-", int64(r.Count))
			continue
		}
		entries[i] = pipe.XRangeN(ctx, command.JournalKey(r.lane.name), "("+r.After.String(), "+", int64(r.Count))
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	pages := make([]*sequence.Page, len(reads))
	for i, r := range reads {
		found, err := entries[i].Result()
		if err == nil && !isNil(counters[i].Err()) {
			err = counters[i].Err()
		}
		switch {
		case command.Denied(err):
			pages[i] = &sequence.Page{Generation: r.Generation, Failed: true}
			continue
		case e.redirected(err):
			if movedAway(err) {
				e.b.refresh()
			}
			continue
		case err != nil:
			return nil, err
		}
		pages[i] = &sequence.Page{
			Generation: r.Generation,
			Entries:    entriesOf(found),
			More:       len(found) >= r.Count,
			Counter:    counterOf(counters[i].Val()),
		}
		if r.Latest {
			slices.Reverse(pages[i].Entries)
		}
	}
	return pages, nil
}

// counterOf parses the number of events that a lane counted. A counter that is missing, or is not a number, is 0.
func counterOf(text string) uint64 {
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0
	}
	return n
}

// entriesOf returns the entries of a journal. Their events are not decoded yet. An entry that is not an event keeps
// its place.
func entriesOf(found []goredis.XMessage) []sequence.Message {
	entries := make([]sequence.Message, 0, len(found))
	for _, x := range found {
		id, ok := backplane.ParseStreamID(x.ID)
		if !ok {
			continue
		}
		m := sequence.Message{Position: backplane.Position{ID: id}}
		if text, ok := x.Values["n"].(string); ok {
			m.N = counterOf(text)
		}
		if text, ok := x.Values["d"].(string); ok {
			m.Event = events.Event{Data: []byte(text)}
		}
		entries = append(entries, m)
	}
	return entries
}

func isNil(err error) bool { return errors.Is(err, goredis.Nil) }

// redirected reports whether a server of a cluster refused one lane only: its slot has moved or has no owner, or its
// keys have moved ahead of the slot.
func (e *epoch) redirected(err error) bool {
	return e.b.options.Cluster &&
		(movedAway(err) || goredis.HasErrorPrefix(err, "ASK") || goredis.HasErrorPrefix(err, "CLUSTERDOWN"))
}

// movedAway reports whether another server of the cluster has the slot.
func movedAway(err error) bool { return goredis.HasErrorPrefix(err, "MOVED") }
