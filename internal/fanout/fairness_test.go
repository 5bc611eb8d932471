package fanout_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
)

func TestBackpressure_holdsUpTheDispatcher(t *testing.T) {
	run(t, fanout.Options{Shards: 1, Flow: fanout.FlowOptions{Backlog: 10}}, func(t *testing.T, r *rig) {
		busy := newSocket()
		_, id := r.subscribe(r.Open(busy, fanout.ProtocolJSON), callTopic(1))
		synctest.Wait()
		release := busy.hold()
		dispatched := make(chan int)
		go func() {
			for i := range 100 {
				r.publish(callTopic(1), fmt.Sprint(i))
			}
			close(dispatched)
		}()
		select {
		case <-dispatched:
			t.Error("dispatched 100 events to a blocked shard")
		case <-time.After(time.Second):
		}
		release()
		<-dispatched
		synctest.Wait()
		lines := busy.lines()
		want(t, len(lines), 100)
		want(t, lines[99], line(id, 1, "99"))
	})
}

func TestFairness_servesQuietOrganizationsInTime(t *testing.T) {
	const crowd, perTurn = 2000, 64
	for name, topics := range map[string]int{"through a burst on one topic": 1, "through a burst on many topics": 8} {
		t.Run("a quiet organization is served "+name, func(t *testing.T) {
			run(t, fanout.Options{Shards: 1, Flow: fanout.FlowOptions{Backlog: 1 << 30}}, func(t *testing.T, r *rig) {
				var writes []*socket
				noisy := make([]*socket, crowd)
				for i := range noisy {
					noisy[i] = newSocket()
					noisy[i].order = &writes
					o := r.Open(noisy[i], fanout.ProtocolJSON)
					for n := range topics {
						r.subscribe(o, callTopic(n))
					}
				}
				quiet := newSocket()
				quiet.order = &writes
				topic := events.Topic{Organization: events.ID{7}, Type: 1}
				r.subscribe(r.Open(quiet, fanout.ProtocolJSON), topic)
				synctest.Wait()
				release := noisy[0].hold()
				for n := range 10 * topics {
					r.publish(callTopic(n%topics), "noise")
				}
				synctest.Wait()
				r.publish(topic, "quiet")
				release()
				synctest.Wait()
				if place := slices.Index(writes, quiet); place < 0 || place > 2*perTurn {
					t.Errorf("%d writes came before the quiet one, a turn has %d", place, perTurn)
				}
				for _, s := range noisy {
					if n := len(s.lines()); n != 10*topics {
						t.Fatalf("%d events, want %d", n, 10*topics)
					}
				}
				// Serving another organization in between must not reduce the batching.
				if limit := crowd*2 + 200; topics > 1 && len(writes) > limit {
					t.Errorf("%d writes for %d clients", len(writes), crowd)
				}
			})
		})
	}
	t.Run("a full backlog delays only its own organization", func(t *testing.T) {
		run(t, fanout.Options{Shards: 1, Flow: fanout.FlowOptions{Backlog: 10}}, func(t *testing.T, r *rig) {
			quiet, noisy := newSocket(), newSocket()
			topic := events.Topic{Organization: events.ID{7}, Type: 1}
			r.subscribe(r.Open(quiet, fanout.ProtocolJSON), topic)
			r.subscribe(r.Open(noisy, fanout.ProtocolJSON), callTopic(1))
			synctest.Wait()
			release := noisy.hold()
			stuck := make(chan struct{})
			go func() {
				for range 50 {
					r.publish(callTopic(1), "noise")
				}
				close(stuck)
			}()
			synctest.Wait()
			passed := make(chan struct{})
			go func() { r.publish(topic, "quiet"); close(passed) }()
			<-passed
			select {
			case <-stuck:
				t.Error("the noisy organization was not delayed")
			default:
			}
			release()
			<-stuck
			synctest.Wait()
			want(t, len(noisy.lines()), 50)
			want(t, len(quiet.lines()), 1)
			want(t, r.metric(t, "rte_fanout_backlog_deliveries", ""), 0.0)
		})
	})
}
