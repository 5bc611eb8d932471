package redis_test

import (
	"context"
	"fmt"
	"maps"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/backplanetest"
	"github.com/rte-server/rte-server/internal/backplane/redis"
	"github.com/rte-server/rte-server/internal/backplane/redis/command"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// tier is how an event is published, see docs/redis.md.
type tier int

const (
	tier0 tier = iota // PUBLISH
	tier1             // journal and PUBLISH
	tier2             // the function
	tiers
)

// stream is what one publisher sends to one lane in one tier: events with the numbers 0, 1, 2...
type stream struct {
	topic events.Topic
	lane  string
	tier  tier

	// Owned by the publisher until it has stopped. An hour has millions of them.
	sent  []uint32 // when each was published: milliseconds since the rig was made
	acked []bool   // Redis confirmed the event
}

// rig is a load on a Redis, and the nodes that should receive all of it.
type rig struct {
	t       testing.TB
	layout  backplane.Layout
	cluster bool
	client  goredis.UniversalClient // of the publishers
	streams []*stream
	nodes   []*rigNode
	padding int
	maxlen  int // of the journals
	made    time.Time

	stop    context.CancelFunc
	running sync.WaitGroup
	peak    uint64 // largest memory in use, in bytes; owned by watchMemory until the publishers have stopped
}

// memoryLimit bounds the memory of a rig: its nodes bound what they keep, whatever the fault.
const memoryLimit = 768 << 20

// newRig makes a rig with streams of each tier in each of lanes lanes, in four organizations.
func newRig(t testing.TB, client goredis.UniversalClient, lanes int) *rig {
	t.Helper()
	r := &rig{t: t, layout: backplane.Layout{Lanes: (lanes + 3) / 4}, client: client, maxlen: 5000, made: time.Now()}
	for i := range lanes {
		organization := events.ID{15: byte(i%4 + 1)}
		for how := range tiers {
			r.streams = append(r.streams, r.newStream(organization, i/4, how))
		}
	}
	return r
}

// mustRig makes a rig that publishes to one server.
func mustRig(t testing.TB, server *rtetest.Redis, lanes int) *rig {
	t.Helper()
	client := server.Client()
	t.Cleanup(func() { client.Close() })
	return newRig(t, client, lanes)
}

// newStream finds an entity with the lane of that number.
func (r *rig) newStream(organization events.ID, lane int, how tier) *stream {
	for {
		topic := backplanetest.Topic(organization, events.NewID())
		name := r.layout.Lane(organization, topic.Entity)
		if r.layout.Lanes <= 1 || strings.HasSuffix(name, fmt.Sprintf(":%d", lane)) {
			return &stream{topic: topic, lane: name, tier: how}
		}
	}
}

// publish publishes events of each tier at these rates, until stopPublishing.
func (r *rig) publish(rates [tiers]int) {
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	for how, rate := range rates {
		if rate > 0 {
			r.running.Go(func() { r.send(ctx, tier(how), rate) })
		}
	}
	r.running.Go(func() { r.watchMemory(ctx) })
	r.t.Cleanup(r.stopPublishing)
}

// watchMemory records the memory in use, including what is not collected yet.
func (r *rig) watchMemory(ctx context.Context) {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		metrics.Read(sample)
		r.peak = max(r.peak, sample[0].Value.Uint64())
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (r *rig) stopPublishing() {
	r.stop()
	r.running.Wait()
}

// send publishes a batch every 10 ms, and never the same event twice.
func (r *rig) send(ctx context.Context, how tier, rate int) {
	var mine []*stream
	for _, s := range r.streams {
		if s.tier == how {
			mine = append(mine, s)
		}
	}
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	began, sent := time.Now(), 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		pipe := r.client.Pipeline()
		var acks []func()
		// Events that could not be sent while Redis was away are left out.
		due := int(time.Since(began).Seconds() * float64(rate))
		for sent = max(sent, due-rate/10); sent < due; sent++ {
			s := mine[sent%len(mine)]
			cmd := r.command(pipe, s)
			number := len(s.sent)
			s.sent = append(s.sent, uint32(time.Since(r.made).Milliseconds()))
			s.acked = append(s.acked, false)
			acks = append(acks, func() { s.acked[number] = cmd.Err() == nil })
		}
		_, _ = pipe.Exec(context.Background())
		for _, ack := range acks {
			ack()
		}
	}
}

// command publishes the next event of a stream.
func (r *rig) command(pipe goredis.Pipeliner, s *stream) goredis.Cmder {
	ctx := context.Background()
	ev := backplanetest.NewEvent(s.topic, len(s.sent))
	ev.Padding = r.padding
	data := ev.JSON()
	journal := "rte:j:{" + s.lane + "}"
	word := "PUBLISH"
	if r.cluster {
		word = "SPUBLISH"
	}
	switch s.tier {
	case tier2:
		keys := []string{journal, "rte:n:{" + s.lane + "}"}
		if !rtetest.RedisHasFunctions(r.t) {
			return pipe.Eval(ctx, command.Script(), keys, s.lane, data, r.maxlen, 0, word)
		}
		return pipe.FCall(ctx, "rte_publish", keys, s.lane, data, r.maxlen, 0, word)
	case tier1:
		// Pipelined, and atomic: as MULTI and EXEC, in one command.
		return pipe.Eval(ctx, `redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], '*', 'd', ARGV[2])
			return redis.call(ARGV[4], ARGV[1], ARGV[2])`, []string{journal}, s.lane, data, r.maxlen, word)
	default:
		return pipe.Do(ctx, word, s.lane, data)
	}
}

// rigNode is a node, and what it received.
type rigNode struct {
	*redis.Backplane
	metrics *prometheus.Registry
	lanes   map[string]bool // the lanes of the streams

	mu     sync.Mutex
	got    map[events.ID]*got // guarded by mu; by entity
	losses []backplane.Loss   // guarded by mu
}

// got is what a node received of a stream.
type got struct {
	times      []uint8 // how often each number arrived, or 255
	last       int
	duplicates int
	disorders  int
}

// node starts a node that subscribes all streams.
func (r *rig) node(o redis.Options) *rigNode {
	r.t.Helper()
	n := &rigNode{got: map[events.ID]*got{}, lanes: map[string]bool{}, metrics: prometheus.NewRegistry()}
	var topics []events.Topic
	for _, s := range r.streams {
		n.got[s.topic.Entity] = &got{last: -1}
		n.lanes[s.lane] = true
		topics = append(topics, s.topic)
	}
	o.Catalog, o.Sink, o.Losses, o.Registerer, o.Layout = events.Builtin(), n, n, n.metrics, r.layout
	n.Backplane = mustRun(r.t, o)
	waitHealth(r.t, n.Backplane, true)
	backplanetest.MustAcquire(r.t, n, topics...)
	r.nodes = append(r.nodes, n)
	return n
}

func (*rigNode) Wants(events.Topic) bool { return true }

func (n *rigNode) Offer(ev *events.Event) bool {
	n.Dispatch(ev)
	return true
}

func (n *rigNode) Dispatch(ev *events.Event) {
	number := backplanetest.Number(ev.Data)
	n.mu.Lock()
	defer n.mu.Unlock()
	g := n.got[ev.Entity]
	if g == nil {
		return // another stream on the same lane
	}
	for len(g.times) <= number {
		g.times = append(g.times, 0)
	}
	switch {
	case g.times[number] > 0:
		g.duplicates++
	case number < g.last:
		g.disorders++
	}
	g.times[number] = min(g.times[number], 254) + 1
	g.last = max(g.last, number)
}

func (n *rigNode) Lost(loss backplane.Loss) {
	if !n.lanes[loss.Lane] {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.losses = append(n.losses, loss)
}

// value returns the sum of a counter over its labels, or over those with a label value.
func (n *rigNode) value(t testing.TB, name string, label ...string) float64 {
	t.Helper()
	families, err := n.metrics.Gather()
	if err != nil {
		t.Fatalf("gather: %v", err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if len(label) > 0 && (len(m.GetLabel()) == 0 || m.GetLabel()[0].GetValue() != label[0]) {
				continue
			}
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetHistogram().GetSampleSum()
		}
	}
	return sum
}

// outage returns how long the connections were lost, in seconds, on average.
func (n *rigNode) outage(t testing.TB) float64 {
	t.Helper()
	families, err := n.metrics.Gather()
	if err != nil {
		t.Fatalf("gather: %v", err)
	}
	for _, f := range families {
		if h := f.GetMetric()[0].GetHistogram(); f.GetName() == "rte_backplane_outage_seconds" && h.GetSampleCount() > 0 {
			return h.GetSampleSum() / float64(h.GetSampleCount())
		}
	}
	return 0
}

// tally is the result of one tier at one node.
type tally struct {
	published, acked, delivered, missing, duplicates, disorders int
	// unflagged are missing events that no reported loss covers.
	unflagged int
	// first is the missing event that was published first.
	first string
}

// tally counts what a node received of a tier.
func (r *rig) tally(n *rigNode, how tier) (sum tally) {
	n.mu.Lock()
	defer n.mu.Unlock()
	losses := map[string][]backplane.Loss{}
	for _, l := range n.losses {
		losses[l.Lane] = append(losses[l.Lane], l)
	}
	for _, s := range r.streams {
		if s.tier != how {
			continue
		}
		g := n.got[s.topic.Entity]
		sum.published += len(s.sent)
		sum.duplicates += g.duplicates
		sum.disorders += g.disorders
		for number, acked := range s.acked {
			if acked {
				sum.acked++
			}
			if number < len(g.times) && g.times[number] > 0 {
				sum.delivered++
			} else if acked {
				sum.missing++
				at := r.made.Add(time.Duration(s.sent[number]) * time.Millisecond)
				if covered(losses[s.lane], at) {
					continue
				}
				if sum.unflagged++; sum.unflagged == 1 {
					sum.first = fmt.Sprintf("number %d of lane %s, at %s", number, s.lane, at.Format(time.TimeOnly))
				}
			}
		}
	}
	return sum
}

// covered reports whether one of the losses of a lane covers a time.
func covered(losses []backplane.Loss, at time.Time) bool {
	return coveredWithin(losses, at, 2*time.Second)
}

// coveredWithin is covered with a given slack between the time at which a publisher began to publish and the node's.
func coveredWithin(losses []backplane.Loss, at time.Time, slack time.Duration) bool {
	return slices.ContainsFunc(losses, func(l backplane.Loss) bool {
		return at.After(l.From.Add(-slack)) && at.Before(l.To.Add(slack))
	})
}

// waitLast waits until a node has received the last event of every stream.
func (r *rig) waitLast(n *rigNode) {
	r.t.Helper()
	for deadline := time.Now().Add(rtetest.Patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		behind := 0
		n.mu.Lock()
		for _, s := range r.streams {
			if len(s.sent) > 0 && s.acked[len(s.sent)-1] && n.got[s.topic.Entity].last < len(s.sent)-1 {
				behind++
			}
		}
		n.mu.Unlock()
		if behind == 0 {
			return
		}
	}
}

// waitDelivered waits until a node has received count events of each stream of a tier.
func (r *rig) waitDelivered(n *rigNode, how tier, count int) {
	r.t.Helper()
	for deadline := time.Now().Add(rtetest.Patience); ; time.Sleep(5 * time.Millisecond) {
		behind := 0
		n.mu.Lock()
		for _, s := range r.streams {
			if s.tier == how && len(n.got[s.topic.Entity].times) < count {
				behind++
			}
		}
		n.mu.Unlock()
		if behind == 0 {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("%d streams have not got %d events", behind, count)
		}
	}
}

// waitMore waits until a node has received count more events of each stream of a tier.
func (r *rig) waitMore(n *rigNode, how tier, count int) {
	r.t.Helper()
	most := 0
	n.mu.Lock()
	for _, s := range r.streams {
		if s.tier == how {
			most = max(most, len(n.got[s.topic.Entity].times))
		}
	}
	n.mu.Unlock()
	r.waitDelivered(n, how, most+count)
}

// lasts is the duration of a fault or of a visit of a client, or the time between two of them. Tests wait for results
// by a condition.
func lasts(d time.Duration) { time.Sleep(d) }

// waitAll waits until the nodes have everything of the journaled tiers, and know what they lack of the other.
func (r *rig) waitAll() {
	r.t.Helper()
	for deadline := time.Now().Add(rtetest.Patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		missing := 0
		for _, n := range r.nodes {
			missing += r.tally(n, tier0).unflagged + r.tally(n, tier1).missing + r.tally(n, tier2).missing
		}
		if missing == 0 {
			return
		}
	}
}

// report prints the results, and returns them by node and tier.
func (r *rig) report(fault string) [][tiers]tally {
	r.t.Helper()
	var all [][tiers]tally
	for i, n := range r.nodes {
		var row [tiers]tally
		var line strings.Builder
		for how := range tiers {
			s := r.tally(n, how)
			row[how] = s
			fmt.Fprintf(&line,
				"\n  T%d published %d acknowledged %d delivered %d missing %d (not reported %d) duplicated %d out of order %d",
				how, s.published, s.acked, s.delivered, s.missing, s.unflagged, s.duplicates, s.disorders)
		}
		all = append(all, row)
		n.mu.Lock()
		reasons := map[string]int{}
		for _, l := range n.losses {
			reasons[l.Reason.String()]++
		}
		n.mu.Unlock()
		losses := ""
		for _, reason := range slices.Sorted(maps.Keys(reasons)) {
			losses += fmt.Sprintf(" %s %d", reason, reasons[reason])
		}
		r.t.Logf("%s, node %d:%s\n  repaired %.0f, losses%s, epochs %.0f, outage %.2f s, memory at most %d MB", fault, i,
			line.String(),
			n.value(r.t, "rte_backplane_repaired_events_total"), losses,
			n.value(r.t, "rte_backplane_epochs_total"), n.outage(r.t), r.peak>>20)
	}
	if r.peak > memoryLimit {
		r.t.Errorf("%d MB of memory were in use", r.peak>>20)
	}
	return all
}

// check fails unless every journaled event arrived once and in order, and every other missing event was reported.
func (r *rig) check(fault string) {
	r.t.Helper()
	r.stopPublishing()
	r.waitAll()
	for i, row := range r.report(fault) {
		for how, s := range row {
			if s.duplicates > 0 || s.disorders > 0 {
				r.t.Errorf("node %d, T%d: %d duplicates, %d out of order", i, how, s.duplicates, s.disorders)
			}
			if tier(how) != tier0 && s.missing > 0 {
				r.t.Errorf("node %d, T%d: %d events are missing", i, how, s.missing)
			}
			if s.unflagged > 0 {
				r.t.Errorf("node %d, T%d: %d events are missing and not reported: %s", i, how, s.unflagged, s.first)
			}
			if s.delivered == 0 && s.published > 0 {
				r.t.Errorf("node %d, T%d: nothing arrived", i, how)
			}
		}
	}
}
