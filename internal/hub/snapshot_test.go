package hub_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
	"github.com/rte-server/rte-server/internal/hub"
)

// states are Snapshots with the same states for every client.
type states struct {
	last    map[events.Topic][]string
	lookups []int // number of topics of each call
	// wait, if set, is called before apply.
	wait func(ctx context.Context) error
}

func (s *states) Snapshot(
	ctx context.Context, topics []events.Topic, apply func([]events.Topic, []*events.Event),
) error {
	s.lookups = append(s.lookups, len(topics))
	if s.wait != nil {
		if err := s.wait(ctx); err != nil {
			return err
		}
	}
	var last []*events.Event
	for _, t := range topics {
		for _, data := range s.last[t] {
			last = append(last, &events.Event{Topic: t, Data: []byte(data)})
		}
	}
	apply(topics, last)
	return nil
}

// withoutIDs removes the subscription ids from the lines of events.
func withoutIDs(lines []string) []string {
	for i, l := range lines {
		if fields := strings.SplitN(l, " ", 3); fields[0] == "event" {
			lines[i] = "event " + fields[2]
		}
	}
	return lines
}

func (r *rig) connectForSnapshots(t testing.TB) *client {
	t.Helper()
	return r.connectWith(t, &conn{features: hub.Features{Snapshot: true}})
}

func TestSnapshot_followsTheAnswer(t *testing.T) {
	known := map[events.Topic][]string{topic(1): {"one"}, topic(2): {"two"}, topic(0xf00000): {"not for you"}}
	refused := entity(1)
	refused[0] = 0xf1
	for name, test := range map[string]func(t *testing.T, r *rig, s *states){
		"has the states of what is granted": func(t *testing.T, r *rig, s *states) {
			s.last[events.Topic{Organization: organization, Entity: refused, Type: topic(1).Type}] = []string{"not for you"}
			c := r.connectForSnapshots(t)
			item := fmt.Sprintf(`,{"EntityId":"%v","EventName":"UserStatus"}]`, refused)
			argument := strings.Replace(items(1, 2, 3), "]", item, 1)
			lines := withoutIDs(c.invoke(t, "1", "Subscribe", argument))
			if len(lines) != 3 || !strings.Contains(lines[0], `"invocationId":"1"`) {
				t.Fatalf("got\n%s", strings.Join(lines, "\n"))
			}
			expect(t, lines[1:], "event one", "event two")
			expect(t, strings.Fields(fmt.Sprint(s.lookups)), "[3]")
			r.publish(1, "newer")
			synctest.Wait()
			expect(t, withoutIDs(c.lines()), "event newer")
		},
		"carries the id of the subscription": func(t *testing.T, r *rig, _ *states) {
			c := r.connectForSnapshots(t)
			lines := c.invoke(t, "1", "Subscribe", items(1))
			expect(t, lines[1:], "event "+c.active(t)[0].ID+" one")
		},
		"is opt-in": func(t *testing.T, r *rig, s *states) {
			c := r.connect(t)
			expect(t, c.invoke(t, "1", "Subscribe", items(1, 2)), results("1", []int{1, 2}))
			if len(s.lookups) > 0 {
				t.Error("states were looked up for a client that did not ask")
			}
		},
		"comes once": func(t *testing.T, r *rig, _ *states) {
			c := r.connectForSnapshots(t)
			c.invoke(t, "1", "Subscribe", items(1))
			expect(t, withoutIDs(c.invoke(t, "2", "Subscribe", items(1, 2)))[1:], "event two")
		},
		"comes again with a new subscription": func(t *testing.T, r *rig, _ *states) {
			c := r.connectForSnapshots(t)
			c.invoke(t, "1", "Subscribe", items(1))
			c.invoke(t, "2", "UnsubscribeAll")
			expect(t, withoutIDs(c.invoke(t, "3", "Subscribe", items(1)))[1:], "event one")
		},
		"comes without an answer, if none is wanted": func(t *testing.T, r *rig, _ *states) {
			c := r.connectForSnapshots(t)
			expect(t, withoutIDs(c.invoke(t, "", "Subscribe", items(1))), "event one")
		},
		"is sent in MessagePack": func(t *testing.T, r *rig, _ *states) {
			c := r.connectWith(t, &conn{features: hub.Features{Snapshot: true}, protocol: fanout.ProtocolMessagePack})
			expect(t, withoutIDs(c.invoke(t, "1", "Subscribe", items(1)))[1:], "event one")
		},
		"has all states of a topic, in pieces that fit into memory": func(t *testing.T, r *rig, s *states) {
			var wants []string
			for n := range 5 {
				large := fmt.Sprint(n, strings.Repeat("x", 600<<10))
				s.last[topic(n)] = []string{large, large}
				wants = append(wants, "event "+large, "event "+large)
			}
			c := r.connectForSnapshots(t)
			lines := withoutIDs(c.invoke(t, "1", "Subscribe", items(0, 1, 2, 3, 4)))
			if strings.Join(lines[1:], "\n") != strings.Join(wants, "\n") {
				t.Errorf("%d states, want %d, each once and in order", len(lines)-1, len(wants))
			}
			if len(s.lookups) < 3 {
				t.Errorf("looked up %v", s.lookups)
			}
		},
		"has each state of a topic once, even if they do not fit": func(t *testing.T, r *rig, s *states) {
			wants, large := []string{"event one"}, []string(nil)
			for n := range 3 {
				large = append(large, fmt.Sprint(n, strings.Repeat("x", 600<<10)))
				wants = append(wants, "event "+large[n])
			}
			s.last[topic(2)] = large
			lines := withoutIDs(r.connectForSnapshots(t).invoke(t, "1", "Subscribe", items(1, 2)))
			if strings.Join(lines[1:], "\n") != strings.Join(wants, "\n") {
				t.Errorf("%d states, want %d, each once and in order", len(lines)-1, len(wants))
			}
		},
		"does not delay the answer, and is given up after its limit": func(t *testing.T, r *rig, s *states) {
			s.wait = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
			c := r.connectForSnapshots(t)
			start := time.Now()
			done := make(chan struct{})
			go func() {
				defer close(done)
				c.Invoke(t.Context(), invocation("1", "Subscribe", items(1, 2)))
			}()
			synctest.Wait()
			expect(t, c.lines(), results("1", []int{1, 2}))
			r.publish(1, "live")
			synctest.Wait()
			expect(t, withoutIDs(c.lines()), "event live")
			<-done
			if waited := time.Since(start); waited != 500*time.Millisecond {
				t.Errorf("the next call waited for %v", waited)
			}
			if n := r.metric(t, "rte_hub_snapshot_topics_total", "unavailable"); n != 2 {
				t.Errorf("%v topics are counted as unavailable", n)
			}
		},
		"is left out if the states are not available": func(t *testing.T, r *rig, s *states) {
			s.wait = func(context.Context) error { return errors.New("away") }
			c := r.connectForSnapshots(t)
			expect(t, c.invoke(t, "1", "Subscribe", items(1)), results("1", []int{1}))
		},
		"ends with the session": func(t *testing.T, r *rig, s *states) {
			s.wait = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
			c := r.connectForSnapshots(t)
			start := time.Now()
			done := make(chan struct{})
			go func() {
				defer close(done)
				c.Invoke(t.Context(), invocation("1", "Subscribe", items(1)))
			}()
			synctest.Wait()
			c.Close(hub.CloseGone)
			<-done
			if waited := time.Since(start); waited != 0 {
				t.Errorf("the call went on for %v", waited)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := &states{last: maps.Clone(known)}
			run(t, hub.Options{Snapshots: hub.SnapshotOptions{Source: s}}, func(t *testing.T, r *rig) { test(t, r, s) })
		})
	}
}

// A panic between the answer and the snapshot left the replay behind: the shard watched its topics for ever.
func TestSnapshot_endsWithAPanic(t *testing.T) {
	var j panickingRechecker
	run(t, hub.Options{Snapshots: hub.SnapshotOptions{Source: &states{}, ForAll: true}, Authorization: deciding(&j,
		func(ctx context.Context, claims *authz.Claims, requests []authz.Request) []authz.Decision {
			j.hub.Recheck(authz.Change{Entities: []events.ID{entity(9)}}) // meanwhile
			return allowAll(ctx, claims, requests)
		})}, func(t *testing.T, r *rig) {
		j.hub = r.Hub
		topicIsKept := func() weak.Pointer[fanout.Entry] {
			c := r.connect(t)
			func() {
				defer func() {
					if recover() == nil {
						t.Error("the rechecker did not panic")
					}
				}()
				c.Invoke(t.Context(), invocation("1", "Subscribe", items(1)))
			}()
			synctest.Wait()
			expect(t, c.lines(), results("1", []int{1}))
			outbox := r.dispatcher.Open(&conn{}, fanout.ProtocolJSON)
			s := outbox.Acquire(topic(1)) // has the same entry
			entry := weak.Make(s.Entry)
			outbox.Release(s)
			outbox.Close(nil, nil)
			c.Close(hub.CloseGone)
			synctest.Wait()
			return entry
		}()
		runtime.GC()
		if topicIsKept.Value() != nil {
			t.Error("the entry of the topic is still reachable")
		}
	})
}

// panickingRechecker panics when it is called.
type panickingRechecker struct{ hub *hub.Hub }

func (*panickingRechecker) Recheck(context.Context, *authz.Claims, []events.Topic) []bool {
	panic("recheck failed")
}

func TestSnapshot_forAll(t *testing.T) {
	s := &states{last: map[events.Topic][]string{topic(1): {"one"}}}
	run(t, hub.Options{Snapshots: hub.SnapshotOptions{Source: s, ForAll: true}}, func(t *testing.T, r *rig) {
		expect(t, withoutIDs(r.connect(t).invoke(t, "1", "Subscribe", items(1)))[1:], "event one")
	})
}
