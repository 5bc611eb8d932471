package node

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/config"
	"github.com/rte-server/rte-server/internal/console"
)

// After a rolling restart the nodes had 1500, 1500 and 0 connections, and stayed so.
func TestRebalance_movesWhatIsFarAboveTheMean(t *testing.T) {
	c := config.Default()
	c.Rebalance.Enabled = true
	r := &rebalance{config: &c.Rebalance, logger: zap.NewNop()}
	r.register(prometheus.NewRegistry())
	now := time.Now()
	own := announcement{Node: "a", State: console.StateReady, Connections: 1500}
	others := []announcement{
		{Node: "b", State: console.StateReady, Connections: 1500}, {Node: "c", State: console.StateReady, Connections: 0},
	}
	var pace []int
	for range 600 {
		now = now.Add(time.Second)
		move := r.next(now, own, others)
		if move > 0 {
			r.began(now, move)
			own.Connections -= move
			others[0].Connections -= move
			others[1].Connections += 2 * move
			pace = append(pace, move)
		}
	}
	if len(pace) < 3 || pace[0] != 150 {
		t.Errorf("moved %d in steps of a minute, want 150 first: a tenth", pace)
	}
	if own.Connections > 1051 || own.Connections < 1000 {
		t.Errorf("has %d connections in the end, want up to 5 %% above the mean of 1000", own.Connections)
	}
	if n := testutil.ToFloat64(r.excess); n != 0 {
		t.Errorf("the excess is %v in the end", n)
	}
}

func TestRebalance_movesNothing(t *testing.T) {
	even := []announcement{{State: console.StateReady, Connections: 900}, {State: console.StateReady, Connections: 900}}
	empty := announcement{State: console.StateReady}
	for name, test := range map[string]struct {
		own    int
		others []announcement
		change func(*config.Rebalance)
		excess float64
	}{
		"a little more than others": {1100, even, nil, 0},
		"alone":                     {5000, nil, nil, 0},
		"few connections":           {90, []announcement{empty}, nil, 0},
		"another node drains":       {1500, []announcement{empty, {State: console.StateDraining}}, nil, 1000},
		"another node is degraded":  {1500, []announcement{empty, {State: console.StateDegraded}}, nil, 1000},
		"another node starts":       {1500, []announcement{empty, {State: console.StateStarting}}, nil, 1000},
		"off":                       {1500, []announcement{empty}, func(c *config.Rebalance) { c.Enabled = false }, 750},
	} {
		t.Run(name, func(t *testing.T) {
			c := config.Default()
			c.Rebalance.Enabled = true
			if test.change != nil {
				test.change(&c.Rebalance)
			}
			r := &rebalance{config: &c.Rebalance, logger: zap.NewNop()}
			r.register(prometheus.NewRegistry())
			now := time.Now()
			for range 300 {
				now = now.Add(time.Second)
				if n := r.next(now, announcement{State: console.StateReady, Connections: test.own}, test.others); n != 0 {
					t.Fatalf("moves %d", n)
				}
			}
			if n := testutil.ToFloat64(r.excess); n != test.excess {
				t.Errorf("the excess is %v, want %v", n, test.excess)
			}
		})
	}
}

// A load balancer that sends every client back to this node must not make it move clients for ever.
func TestRebalance_givesUpWhenConnectionsComeBack(t *testing.T) {
	c := config.Default()
	c.Rebalance.Enabled = true
	r := &rebalance{config: &c.Rebalance, logger: zap.NewNop()}
	r.register(prometheus.NewRegistry())
	now, moved := time.Now(), 0
	for range 60 {
		now = now.Add(time.Minute)
		own := announcement{State: console.StateReady, Connections: 2000}
		move := r.next(now, own, []announcement{{State: console.StateReady}})
		if move > 0 {
			r.began(now, move)
		}
		moved += move
	}
	if moved < 2000 || moved > 2400 {
		t.Errorf("moved %d in an hour, want about twice the excess of 1000", moved)
	}
}
