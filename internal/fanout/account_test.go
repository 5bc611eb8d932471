package fanout_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
)

// crowdOf opens outboxes of one user that subscribe to callTopic(1). Their sockets take room bytes; negative: all.
func (r *rig) crowdOf(user fanout.Owner, n, room int) (sockets []*socket) {
	for range n {
		s := newSocket()
		s.owner = user
		r.subscribe(r.Open(s, fanout.ProtocolJSON), callTopic(1))
		s.freeze(room)
		sockets = append(sockets, s)
	}
	return sockets
}

func ended(sockets []*socket) (n int) {
	for _, s := range sockets {
		if strings.Contains(s.ends(), "slow") {
			n++
		}
	}
	return n
}

// Each outbox had a bound and all together had none: clients that did not read could take all memory.
func TestOutboxes_areBoundedTogether(t *testing.T) {
	const total = 1 << 20
	bounds := fanout.OutboxOptions{Bytes: total / 4, TotalBytes: total}
	run(t, fanout.Options{Shards: 1, Outbox: bounds}, func(t *testing.T, r *rig) {
		var frozen []*socket
		for n := range 100 {
			frozen = append(frozen, r.crowdOf(fanout.Owner{User: events.ID{1, byte(n)}}, 1, 0)...)
		}
		healthy := r.crowdOf(fanout.Owner{User: events.ID{2}}, 1, -1)[0]
		synctest.Wait()
		for n := range 100 {
			r.publish(callTopic(1), fmt.Sprint(n, " ", strings.Repeat("x", 1000)))
			synctest.Wait()
			if waiting := r.metric(t, "rte_fanout_outbox_waiting_bytes", ""); waiting > total {
				t.Fatalf("%v bytes wait, bound %d", waiting, total)
			}
		}
		if got := len(healthy.lines()); got != 100 {
			t.Errorf("the client that reads got %d events", got)
		}
		for _, s := range frozen {
			s.freeze(-1)
		}
		synctest.Wait()
		if n := ended(frozen); n == 0 {
			t.Error("no client that did not read ended as slow")
		}
		want(t, r.metric(t, "rte_fanout_outbox_waiting_bytes", ""), 0.0)
	})
}

// A user with many connections that do not read does not take the memory of others.
func TestOutboxes_ofAUserAreBoundedTogether(t *testing.T) {
	const total = 16 << 20
	bounds := fanout.OutboxOptions{TotalBytes: total}
	run(t, fanout.Options{Shards: 1, Outbox: bounds}, func(t *testing.T, r *rig) {
		many := r.crowdOf(fanout.Owner{User: events.ID{1}}, 50, 0)
		other := r.crowdOf(fanout.Owner{User: events.ID{2}}, 1, 0)
		synctest.Wait()
		for range 100 {
			r.publish(callTopic(1), strings.Repeat("x", 1000))
			synctest.Wait()
			if waiting := r.metric(t, "rte_fanout_outbox_waiting_bytes", ""); waiting > 2*total/16+100_000 {
				t.Fatalf("%v bytes wait", waiting)
			}
		}
		for _, s := range append(many, other...) {
			s.freeze(-1)
		}
		synctest.Wait()
		if n := ended(many); n < 30 || n == 50 {
			t.Errorf("%d connections of the user with 50 ended as slow", n)
		}
		want(t, ended(other), 0)
		want(t, len(other[0].lines()), 100)
		want(t, r.metric(t, "rte_fanout_outbox_waiting_bytes", ""), 0.0)
	})
}
