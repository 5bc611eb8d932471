package node

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/config"
	"github.com/rte-server/rte-server/internal/console"
)

const (
	// rebalanceStep is the time of one automatic shed.
	rebalanceStep = time.Minute
	// rebalanceGiveUp is how long a node moves nothing after it has moved twice as many connections as it had too many:
	// the load balancer sends them back.
	rebalanceGiveUp = time.Hour
)

// rebalance notices that this node has far more connections than the others, and moves some of them if it is enabled.
// It is owned by the goroutine of peers.run.
type rebalance struct {
	config   *config.Rebalance
	drainer  *drainer
	logger   *zap.Logger
	excess   prometheus.Gauge
	uneven   time.Time // since when this node has far more; zero: it has not
	allReady time.Time // since when all nodes are ready; zero: they are not
	offered  bool      // the offer is in the log
	wanted   int       // connections that were too many when moving began; 0: it did not
	moved    int       // since then
	resume   time.Time // nothing is moved before
}

func (r *rebalance) register(reg prometheus.Registerer) {
	r.excess = promauto.With(reg).NewGauge(prometheus.GaugeOpts{
		Name: "rte_node_excess_connections",
		Help: "Connections above the mean of all nodes while this node has far more than they (rebalance.above); else 0.",
	})
}

// check looks at the numbers of connections of all nodes.
func (r *rebalance) check(now time.Time) {
	move := r.next(now, r.drainer.own(), r.drainer.peers.list())
	if r.allReady.IsZero() {
		r.drainer.cancelAutomatic()
	}
	if move == 0 || r.drainer.Departure().Action != actionNone {
		return
	}
	if r.drainer.shed(move, rebalanceStep, true) == nil {
		r.began(now, move)
		r.logger.Info("connections move to other nodes", zap.Int("connections", move))
	}
}

// began records that some connections begin to move.
func (r *rebalance) began(now time.Time, move int) {
	r.moved += move
	r.resume = now.Add(rebalanceStep) // a shed of few connections ends before
}

// next returns how many connections to move in the next minute; 0: none.
func (r *rebalance) next(now time.Time, own announcement, others []announcement) (move int) {
	allReady, sum := own.State == console.StateReady && len(others) > 0, own.Connections
	for i := range others {
		allReady = allReady && others[i].State == console.StateReady
		sum += others[i].Connections
	}
	since(&r.allReady, allReady, now)
	excess := r.excessOf(own.Connections, sum, len(others)+1)
	since(&r.uneven, excess > 0, now)
	r.excess.Set(float64(excess))
	if excess == 0 {
		r.offered, r.wanted, r.moved = false, 0, 0
		return 0
	}
	if now.Sub(r.uneven) < r.config.After || r.allReady.IsZero() || now.Sub(r.allReady) < r.config.After {
		return 0
	}
	if !r.offered {
		r.offered = true
		r.logger.Warn("this node has far more connections than the others; rte-server shed moves them",
			zap.Int("connections", own.Connections), zap.Int("excess", excess), zap.Int("nodes", len(others)+1),
			zap.Bool("automatic", r.config.Enabled))
	}
	if !r.config.Enabled || now.Before(r.resume) {
		return 0
	}
	if r.wanted == 0 {
		r.wanted, r.moved = excess, 0
	}
	if r.moved > 2*r.wanted {
		r.resume, r.wanted = now.Add(rebalanceGiveUp), 0
		r.logger.Warn("moved connections come back to this node, moving pauses", zap.Int("moved", r.moved),
			zap.Duration("pause", rebalanceGiveUp))
		return 0
	}
	return min(excess, max(own.Connections*r.config.Rate/100, 1))
}

// excessOf returns how many connections above the mean a node has, 0 unless it has far more. While it moves some, less
// than far more counts, so that it does not stop at once and begin again.
func (r *rebalance) excessOf(own, sum, nodes int) int {
	above, least := r.config.Above, r.config.Least
	if r.wanted > 0 {
		above, least = r.config.Below, 1
	}
	excess := own - (sum+nodes-1)/nodes
	if nodes < 2 || excess < least || own*nodes*100 <= sum*(100+above) {
		return 0
	}
	return excess
}

// since keeps in at since when a condition holds; zero: it does not.
func since(at *time.Time, holds bool, now time.Time) {
	switch {
	case !holds:
		*at = time.Time{}
	case at.IsZero():
		*at = now
	}
}
