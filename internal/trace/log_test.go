package trace_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/trace"
)

func all[T any](*T) bool { return true }

// number makes an event with a number in its id. Its entity selects one ring.
func number(n int) *events.Event {
	return &events.Event{ID: events.ID{byte(n), byte(n >> 8), byte(n >> 16), 1}}
}

func numberOf(id events.ID) int { return int(id[0]) | int(id[1])<<8 | int(id[2])<<16 }

func TestLog_keepsTheNewest(t *testing.T) {
	const entries = 80 // 10 in each ring
	log := trace.New(trace.Options{Bytes: 1 << 20, Entries: entries})
	start := time.Unix(1_000_000, 0)
	for n := range 25 {
		log.Event(number(n), start.Add(time.Duration(n)*time.Second), trace.Matched, n)
	}
	var got []int
	for _, r := range log.Events(all, 100) {
		got = append(got, numberOf(r.ID))
		if int(r.Count) != numberOf(r.ID) || r.Outcome != trace.Matched {
			t.Errorf("record %+v", r)
		}
	}
	if want := []int{24, 23, 22, 21, 20, 19, 18, 17, 16, 15}; !slices.Equal(got, want) {
		t.Errorf("kept %v, want %v", got, want)
	}
	if got := log.Events(func(r *trace.Record) bool { return numberOf(r.ID)%2 == 0 }, 2); len(got) != 2 ||
		numberOf(got[0].ID) != 24 || numberOf(got[1].ID) != 22 {
		t.Errorf("found %v", got)
	}
}

func TestLog_knowsSinceWhenItHasAll(t *testing.T) {
	log := trace.New(trace.Options{Bytes: 1 << 20, Entries: 80})
	before, _ := log.Since()
	if time.Since(before) > time.Minute {
		t.Errorf("an empty log has all since %v", before)
	}
	start := time.Now().Add(time.Hour)
	for n := range 25 {
		log.Event(number(n), start.Add(time.Duration(n)*time.Second), trace.Matched, 0)
	}
	if since, _ := log.Since(); since.Sub(start).Round(time.Second) != 15*time.Second {
		t.Errorf("has all since %v after the first", since.Sub(start))
	}
}

func TestLog_findsTheIDsOfRefusedMessages(t *testing.T) {
	const id, entity = "11111111-2222-3333-4444-555555555555", "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
	for name, message := range map[string]string{
		"well-formed": `{"Id":"` + id + `","EntityId":"` + entity + `"}`,
		"cut off":     `{"EntityId" : "` + entity + `", "Id": "` + id + `","Data":{"x`,
		"camel case":  `{"entityId":"` + entity + `","id":"` + id + `"`,
		"no JSON":     `"Id":"` + id + `" "EntityId"="x" "EntityId":"` + entity + `"`,
	} {
		t.Run(name, func(t *testing.T) {
			log := trace.New(trace.Options{Bytes: 1 << 20, Entries: 80, Reasons: []string{"a", "not_json"}})
			log.Refused(events.ID{7}, []byte(message), len(message), "not_json")
			found := log.Events(all, 10)
			if len(found) != 1 {
				t.Fatalf("found %v", found)
			}
			r := found[0]
			if r.ID.String() != id || r.Topic.Entity.String() != entity || r.Topic.Organization != (events.ID{7}) ||
				log.Reason(&r) != "not_json" || int(r.Count) != len(message) {
				t.Errorf("record %+v, reason %s", r, log.Reason(&r))
			}
		})
	}
	log := trace.New(trace.Options{Bytes: 1 << 20, Entries: 80})
	log.Refused(events.ID{7}, []byte(`{"OrganizationId":"`+id+`","Id":"x","MyId":"`+id+`"}`), 1, "?")
	if r := log.Events(all, 10)[0]; r.ID != (events.ID{}) || log.Reason(&r) != "other" {
		t.Errorf("found an id in other fields: %+v", r)
	}
}

// TestLog_neverWaits lets writers and readers meet. With the race detector it also shows that they may.
func TestLog_neverWaits(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	log := trace.New(trace.Options{Bytes: 1 << 18, Entries: 1000, Registerer: reg})
	const writers, each = 4, 5000
	var running sync.WaitGroup
	for w := range writers {
		running.Go(func() {
			for n := range each {
				log.Event(number(n), time.Now(), trace.Matched, w)
				log.Aside(uint32(w), number(n).ID, time.Now(), trace.Slow)
			}
		})
	}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	readers.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				for _, r := range log.Events(all, 1000) {
					if numberOf(r.ID) >= each {
						t.Errorf("torn record %v", r)
						return
					}
				}
				log.Asides(all, 1000)
			}
		}
	})
	running.Wait()
	close(stop)
	readers.Wait()
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("metrics: %v %v", problems, err)
	}
}

func TestLog_off(t *testing.T) {
	for _, o := range []trace.Options{{}, {Bytes: 1 << 20}, {Entries: 1000}} {
		log := trace.New(o)
		if log != nil {
			t.Errorf("%+v makes a log", o)
		}
		log.Event(number(1), time.Now(), trace.Matched, 1)
		log.Refused(events.ID{}, nil, 0, "x")
		log.Aside(1, events.ID{}, time.Now(), trace.Slow)
		if log.Events(all, 1) != nil || log.Asides(all, 1) != nil {
			t.Error("has records")
		}
	}
}

func TestLog_allocatesNothing(t *testing.T) {
	log := trace.New(trace.Options{Bytes: 1 << 20, Entries: 1000})
	ev, now := number(1), time.Now()
	ev.Timestamp = now
	if allocs := testing.AllocsPerRun(1000, func() {
		log.Event(ev, now, trace.Matched, 1)
		log.Aside(1, ev.ID, now, trace.Slow)
		log.Replaced(1, ev.ID, ev.ID, now, trace.Conflated)
	}); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// BenchmarkLog_Event is what the trace costs for each event.
func BenchmarkLog_Event(b *testing.B) {
	log := trace.New(trace.Options{Bytes: 16 << 20, Entries: 100_000})
	b.RunParallel(func(pb *testing.PB) {
		ev, now := number(1), time.Now()
		ev.Timestamp = now
		for n := 0; pb.Next(); n++ {
			ev.Entity[0] = byte(n)
			log.Event(ev, now, trace.Matched, 1)
		}
	})
}
