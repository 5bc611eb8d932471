package fanout

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// outboxBounds are the upper bounds of the classes of outboxes by the bytes that wait in them.
var outboxBounds = [...]int{4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20}

// outboxSizes counts the outboxes of a shard with waiting bytes: up to each bound, and all of them.
type outboxSizes [len(outboxBounds) + 1]int

// move counts an outbox whose waiting bytes changed.
func (s *outboxSizes) move(before, after int) {
	s.count(before, -1)
	s.count(after, 1)
}

func (s *outboxSizes) count(bytes, by int) {
	if bytes <= 0 {
		return
	}
	for i, bound := range outboxBounds {
		if bytes <= bound {
			s[i] += by
		}
	}
	s[len(outboxBounds)] += by
}

func newSizeGauges(auto promauto.Factory) (gauges [len(outboxBounds) + 1]prometheus.Gauge) {
	outboxes := auto.NewGaugeVec(prometheus.GaugeOpts{
		Name: "rte_fanout_outboxes_waiting",
		Help: "Outboxes in which frames wait behind a full socket, at most so many bytes of them; +Inf: all of these.",
	}, []string{"at_most"})
	for i, bound := range outboxBounds {
		gauges[i] = outboxes.WithLabelValues(strconv.Itoa(bound))
	}
	gauges[len(outboxBounds)] = outboxes.WithLabelValues("+Inf")
	return gauges
}
