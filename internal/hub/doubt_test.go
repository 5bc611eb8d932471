package hub_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/hub"
)

// flaky is a backplane with the lanes of laneOf that come and go, as the hub sees it: Acquire succeeds at once while a
// lane is away, and when it is back, its loss is reported.
type flaky struct {
	mu    sync.Mutex           // guards the following fields
	since map[string]time.Time // of the lanes that are away
}

func (f *flaky) leave(lane string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, away := f.since[lane]; !away {
		f.since[lane] = time.Now()
	}
}

func (f *flaky) back(lane string, lost func(hub.Loss)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if since, ok := f.since[lane]; ok {
		lost(hub.Loss{Organization: organization, Lane: lane, From: since, To: time.Now(), Reason: "outage"})
	}
	delete(f.since, lane)
}

// publish publishes an event, which is lost if its lane is away.
func (f *flaky) publish(r *rig, entity int, data string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, away := f.since[laneOf(topic(entity))]; !away {
		r.publish(entity, data)
	}
}

// Clients subscribe at any time while lanes come and go. Every event that is published after an answer arrives, or its
// time lies within a notice, or the connection ends later, also if the call is slow between the lane and the answer.
func TestSubscribe_missesNothingUnnoticedAfterTheAnswer(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			o := hub.Options{Resync: hub.ResyncOptions{Lane: laneOf, Window: 2 * time.Second, CloseWindow: 2 * time.Second}}
			run(t, o, func(t *testing.T, r *rig) { subscribeInDoubt(t, r, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

// subscriber is a client of one entity.
type subscriber struct {
	*client

	entity   int
	answered time.Time
}

func subscribeInDoubt(t *testing.T, r *rig, random *rand.Rand) {
	t.Helper()
	f := &flaky{since: map[string]time.Time{}}
	f.leave("odd")
	var calls sync.Mutex // guards random in calls
	r.lanes.acquire = func(context.Context, []events.Topic) []error {
		calls.Lock()
		slow := time.Duration(random.Int64N(int64(300 * time.Millisecond)))
		calls.Unlock()
		time.Sleep(slow)
		return nil
	}
	var clients []*subscriber
	var calling sync.WaitGroup
	published := map[int][]time.Time{} // by entity
	for step := range 600 {
		time.Sleep(20 * time.Millisecond)
		calls.Lock()
		lane, entity, what := []string{"odd", "even"}[random.IntN(2)], random.IntN(4), random.IntN(40)
		calls.Unlock()
		switch {
		case what == 0:
			f.leave(lane)
		case what == 1:
			f.back(lane, r.Lost)
		case what < 8 && step < 500:
			c := &subscriber{client: r.connect(t), entity: entity}
			if what%2 == 0 {
				c.client = r.connectWith(t, withNotices())
			}
			clients = append(clients, c)
			calling.Go(func() {
				c.Invoke(t.Context(), invocation("1", "Subscribe", items(entity)))
				c.answered = time.Now()
			})
		}
		for e := range 4 {
			published[e] = append(published[e], time.Now())
			f.publish(r, e, fmt.Sprint(len(published[e])))
		}
	}
	calling.Wait()
	f.back("odd", r.Lost)
	f.back("even", r.Lost)
	time.Sleep(time.Minute)
	synctest.Wait()
	for i, c := range clients {
		c.check(t, i, published[c.entity])
	}
}

// check fails unless the client received every event that was published after its answer, or was notified of it.
func (c *subscriber) check(t *testing.T, number int, published []time.Time) {
	t.Helper()
	got, lines := map[string]bool{}, c.lines()
	var notices []hub.Resync
	for _, line := range lines {
		switch {
		case strings.HasPrefix(line, "Resync "):
			notices = append(notices, resyncs(t, []string{line})...)
		case strings.HasPrefix(line, "event "):
			got[line[strings.LastIndexByte(line, ' ')+1:]] = true
		case line == "close resync":
			return // it comes again and fetches everything; nothing follows a Close
		case !strings.Contains(line, `"subscribed":true`):
			t.Errorf("client %d received %s", number, line)
		}
	}
	for i, at := range published {
		if at.Before(c.answered) || got[strconv.Itoa(i+1)] {
			continue
		}
		noticed := false
		for _, n := range notices {
			noticed = noticed || !at.Before(*n.From) && !at.After(*n.To)
		}
		if !noticed {
			t.Errorf("client %d misses event %d of entity %d, %s after its answer", number, i+1, c.entity, at.Sub(c.answered))
			return
		}
	}
}
