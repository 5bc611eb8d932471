package fanout_test

import (
	"testing"
	"testing/synctest"

	"github.com/rte-server/rte-server/internal/fanout"
)

func TestWants_countsRefusals(t *testing.T) {
	run(t, fanout.Options{Shards: 2}, func(t *testing.T, r *rig) {
		o := r.Open(newSocket(), fanout.ProtocolJSON)
		want(t, r.Wants(callTopic(1)), false)
		entry, _ := r.subscribe(o, callTopic(1))
		want(t, r.Wants(callTopic(1)), true) // at once, before the shard has applied the change
		want(t, r.Wants(stateTopic(1)), false)
		want(t, testing.AllocsPerRun(100, func() { r.Wants(callTopic(1)); r.Wants(callTopic(2)) }), 0.0)

		o.Apply(fanout.Change{Remove: []*fanout.Entry{entry}})
		synctest.Wait()
		want(t, r.Wants(callTopic(1)), false)
		want(t, r.metric(t, "rte_fanout_events_total", "unheard"), 3.0+101)
	})
}
