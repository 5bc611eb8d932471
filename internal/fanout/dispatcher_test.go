package fanout_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
)

func want(t *testing.T, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestDispatch_reachesSubscribers(t *testing.T) {
	t.Run("reaches every subscriber of the topic and no other outbox", func(t *testing.T) {
		run(t, fanout.Options{Shards: 3}, func(t *testing.T, r *rig) {
			var sockets []*socket
			var ids []events.ID
			for i := range 10 {
				s := newSocket()
				_, id := r.subscribe(r.Open(s, fanout.ProtocolJSON), callTopic(i%2))
				sockets, ids = append(sockets, s), append(ids, id)
			}
			r.publish(callTopic(1), "ring")
			r.publish(stateTopic(1), "other type")
			r.publish(events.Topic{Organization: events.ID{9}, Entity: events.ID{1}, Type: 1}, "other organization")
			synctest.Wait()
			for i, s := range sockets {
				var lines []string
				if i%2 == 1 {
					lines = []string{line(ids[i], 1, "ring")}
				}
				want(t, s.lines(), lines)
			}
			want(t, r.metric(t, "rte_fanout_events_total", "heard"), 1.0)
			want(t, r.metric(t, "rte_fanout_events_total", "unheard"), 2.0)
			want(t, r.metric(t, "rte_fanout_deliveries_total", ""), 5.0)
		})
	})
	t.Run("uses the protocol of each connection", func(t *testing.T) {
		run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
			j, m := newSocket(), newSocket()
			_, jid := r.subscribe(r.Open(j, fanout.ProtocolJSON), callTopic(1))
			_, mid := r.subscribe(r.Open(m, fanout.ProtocolMessagePack), callTopic(1))
			r.publish(callTopic(1), "ring")
			synctest.Wait()
			want(t, j.lines(), []string{line(jid, 1, "ring")})
			want(t, m.lines(), []string{"m" + line(mid, 1, "ring")})
		})
	})
	t.Run("counts an event that cannot be encoded and goes on", func(t *testing.T) {
		run(t, fanout.Options{}, func(t *testing.T, r *rig) {
			s := newSocket()
			_, id := r.subscribe(r.Open(s, fanout.ProtocolJSON), callTopic(1))
			r.publish(callTopic(1), "malformed")
			r.publish(callTopic(1), "fine")
			synctest.Wait()
			want(t, s.lines(), []string{line(id, 1, "fine")})
			want(t, r.metric(t, "rte_fanout_events_total", "malformed"), 1.0)
		})
	})
	t.Run("drops an event whose TTL has ended", func(t *testing.T) {
		run(t, fanout.Options{}, func(t *testing.T, r *rig) {
			s := newSocket()
			r.subscribe(r.Open(s, fanout.ProtocolJSON), callTopic(1))
			r.Dispatch(&events.Event{Topic: callTopic(1), TTLSeconds: 60, Timestamp: time.Now().Add(-61 * time.Second)})
			synctest.Wait()
			want(t, s.lines(), []string(nil))
			want(t, r.metric(t, "rte_fanout_events_total", "expired"), 1.0)
		})
	})
	t.Run("sends a frame before the events of what it subscribes to", func(t *testing.T) {
		run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
			s := newSocket()
			o := r.Open(s, fanout.ProtocolJSON)
			a := o.Acquire(callTopic(1))
			e, id := a.Entry, a.ID
			o.Apply(fanout.Change{Frame: []byte("subscribed\n"), Add: []fanout.Subscription{a}})
			r.publish(callTopic(1), "ring")
			synctest.Wait()
			want(t, s.lines(), []string{"subscribed", line(id, 1, "ring")})
			o.Apply(fanout.Change{Frame: []byte("unsubscribed\n"), Remove: []*fanout.Entry{e}})
			r.publish(callTopic(1), "ring")
			synctest.Wait()
			want(t, s.lines(), []string{"unsubscribed"})
			want(t, r.Topics(), 0)
		})
	})
	t.Run("collects events that arrive while the shard is busy", func(t *testing.T) {
		for name, topics := range map[string]int{"of one topic": 1, "of several topics": 4} {
			t.Run(name, func(t *testing.T) {
				run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
					s, busy := newSocket(), newSocket()
					o := r.Open(s, fanout.ProtocolJSON)
					var lines []string
					ids := make([]events.ID, topics)
					for i := range topics {
						_, ids[i] = r.subscribe(o, callTopic(i))
					}
					r.subscribe(r.Open(busy, fanout.ProtocolJSON), callTopic(99))
					synctest.Wait()
					release := busy.hold()
					r.publish(callTopic(99), "busy")
					synctest.Wait()
					for i := range 20 {
						r.publish(callTopic(i%topics), fmt.Sprint(i))
						lines = append(lines, line(ids[i%topics], i%topics, fmt.Sprint(i)))
					}
					release()
					synctest.Wait()
					want(t, s.lines(), lines)
					if s.writes > 2 {
						t.Errorf("%d writes for 20 events", s.writes)
					}
				})
			})
		}
	})
}

func TestNew_namesTheWrongOption(t *testing.T) {
	for message, o := range map[string]fanout.Options{
		"fanout: Options.JSON is required":                {},
		"fanout: Options.Shards must be from 1 to 32":     {JSON: lineEncoder{}, Shards: 33},
		"fanout: Options.Flow.Quota must not be negative": {JSON: lineEncoder{}, Flow: fanout.FlowOptions{Quota: -1}},
	} {
		_, err := fanout.New(o)
		if err == nil || err.Error() != message {
			t.Errorf("error is %v, want %s", err, message)
		}
	}
}

func TestMetrics_passTheLinter(t *testing.T) {
	problems, err := testutil.GatherAndLint(newRig(t, fanout.Options{}).metrics)
	if err != nil || len(problems) > 0 {
		t.Error(err, problems)
	}
}

// Spare turn queues kept a reference to the last event of the organization before.
func TestShard_keepsNoReferenceToDeliveredEvents(t *testing.T) {
	run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
		topicIsKept := func() weak.Pointer[fanout.Entry] {
			o := r.Open(newSocket(), fanout.ProtocolJSON)
			e, _ := r.subscribe(o, callTopic(1))
			r.publish(callTopic(1), "x")
			synctest.Wait()
			o.Close(nil, []*fanout.Entry{e})
			synctest.Wait()
			return weak.Make(e)
		}()
		runtime.GC()
		if topicIsKept.Value() != nil {
			t.Error("the topic is kept")
		}
	})
}

// A ping or an answer touches an outbox for the control queue. An event behind it counted as collected by the turn
// queue of its organization, which had no outbox to write: after 8 MB of such events the shard read beyond the list of
// touched outboxes.
func TestShard_countsCollectedBytesInTheQueueThatWritesThem(t *testing.T) {
	run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
		s, busy := newSocket(), newSocket()
		o := r.Open(s, fanout.ProtocolJSON)
		_, id := r.subscribe(o, callTopic(1))
		r.subscribe(r.Open(busy, fanout.ProtocolJSON), callTopic(99))
		synctest.Wait()
		text := strings.Repeat("x", 50<<10)
		for range 200 {
			release := busy.hold()
			r.publish(callTopic(99), "busy")
			synctest.Wait()
			r.publish(callTopic(1), text)
			o.Send([]byte("answer\n"))
			release()
			synctest.Wait()
			want(t, s.lines(), []string{"answer", line(id, 1, text)})
		}
	})
}

// Each organization has the traffic of its own, and none once its last subscription has ended.
func TestTraffic_countsEachOrganization(t *testing.T) {
	run(t, fanout.Options{Shards: 2}, func(t *testing.T, r *rig) {
		var entries []*fanout.Entry
		sockets := []*socket{newSocket(), newSocket()}
		busy, quiet := events.Topic{Organization: events.ID{1}, Type: 1}, events.Topic{Organization: events.ID{2}, Type: 1}
		outboxes := []*fanout.Outbox{r.Open(sockets[0], fanout.ProtocolJSON), r.Open(sockets[1], fanout.ProtocolJSON)}
		for _, o := range outboxes {
			e, _ := r.subscribe(o, busy)
			entries = append(entries, e)
		}
		last, _ := r.subscribe(outboxes[0], quiet)
		for range 3 {
			r.publish(busy, "x")
			synctest.Wait()
		}
		bytes := int64(sockets[0].received.Len())
		r.publish(quiet, "long")
		synctest.Wait()
		longer := int64(sockets[0].received.Len()) - bytes
		traffic := func() map[events.ID]fanout.Traffic {
			all := map[events.ID]fanout.Traffic{}
			for _, t := range r.Traffic() {
				all[t.Organization] = t
			}
			return all
		}
		want(t, traffic(), map[events.ID]fanout.Traffic{
			{1}: {Organization: events.ID{1}, Events: 3, Deliveries: 6, Bytes: 2 * bytes},
			{2}: {Organization: events.ID{2}, Events: 1, Deliveries: 1, Bytes: longer},
		})
		want(t, r.metric(t, "rte_fanout_written_bytes_total", ""), float64(2*bytes+longer))
		outboxes[0].Apply(fanout.Change{Remove: []*fanout.Entry{last}})
		synctest.Wait()
		want(t, len(traffic()), 1)
		outboxes[0].Close(nil, entries[:1])
		outboxes[1].Close(nil, entries[1:])
		synctest.Wait()
		want(t, len(traffic()), 0)
	})
}

// All organizations together may have ten times the backlog of one.
func TestDispatch_waitsForTheBacklogOfAllOrganizations(t *testing.T) {
	run(t, fanout.Options{Shards: 1, Flow: fanout.FlowOptions{Backlog: 4}}, func(t *testing.T, r *rig) {
		const organizations, each = 20, 5
		s := newSocket()
		o := r.Open(s, fanout.ProtocolJSON)
		var topics []events.Topic
		for n := range byte(organizations) {
			topics = append(topics, events.Topic{Organization: events.ID{n + 1}, Type: 1})
			r.subscribe(o, topics[n])
		}
		synctest.Wait()
		release := s.hold() // the shard is busy with one write
		r.publish(topics[0], "fills the shard")
		synctest.Wait()
		var publishers sync.WaitGroup
		for _, topic := range topics {
			publishers.Go(func() {
				for range each {
					r.publish(topic, "x")
				}
			})
		}
		synctest.Wait()
		// The bound is 40. Events that come at the same moment exceed it together.
		if n := r.metric(t, "rte_fanout_backlog_deliveries", ""); n <= 40 || n > 40+organizations {
			t.Errorf("%v deliveries are under way, want a little more than 40", n)
		}
		release()
		publishers.Wait()
		synctest.Wait()
		want(t, s.count("x\n"), organizations*each)
		want(t, r.metric(t, "rte_fanout_dispatch_stalls_total", "") > 0, true)
		want(t, r.metric(t, "rte_fanout_backlog_deliveries", ""), 0.0)
	})
}
