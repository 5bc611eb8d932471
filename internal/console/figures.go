package console

import (
	"math"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// figuresInterval is the least time between two collections of the figures of a node: the views of several operators
// cost no more than one view.
const figuresInterval = time.Second

// figures are the metrics of a node at a moment.
type figures struct {
	at       time.Time
	families map[string]*dto.MetricFamily
}

// sum returns the sum of a metric over the labels with the given value, or over all if value is empty.
func (f *figures) sum(name, value string) (sum float64) {
	for _, m := range f.families[name].GetMetric() {
		if value == "" || hasLabel(m, value) {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return sum
}

func hasLabel(m *dto.Metric, value string) bool {
	for _, label := range m.GetLabel() {
		if label.GetValue() == value {
			return true
		}
	}
	return false
}

// label returns a label of a metric that has one value.
func (f *figures) label(metric, name string) string {
	for _, m := range f.families[metric].GetMetric() {
		for _, label := range m.GetLabel() {
			if label.GetName() == name {
				return label.GetValue()
			}
		}
	}
	return ""
}

// buckets returns the bounds and the cumulative counts of a histogram.
func (f *figures) buckets(name string) []*dto.Bucket {
	if metrics := f.families[name].GetMetric(); len(metrics) > 0 {
		return metrics[0].GetHistogram().GetBucket()
	}
	return nil
}

// quantile returns the quantile of a histogram's counts since before, as Prometheus would; nil: it counted nothing, or
// the quantile lies above the last bound.
func (f *figures) quantile(before *figures, name string, q float64) *float64 {
	buckets, earlier := f.buckets(name), before.buckets(name)
	count := func(i int) float64 {
		n := float64(buckets[i].GetCumulativeCount())
		if i < len(earlier) {
			n -= float64(earlier[i].GetCumulativeCount())
		}
		return n
	}
	finite := len(buckets)
	for finite > 0 && math.IsInf(buckets[finite-1].GetUpperBound(), 1) {
		finite--
	}
	total := 0.0
	if metrics := f.families[name].GetMetric(); len(metrics) > 0 {
		total = float64(metrics[0].GetHistogram().GetSampleCount())
	}
	if metrics := before.families[name].GetMetric(); len(metrics) > 0 {
		total -= float64(metrics[0].GetHistogram().GetSampleCount())
	}
	lower, below := 0.0, 0.0
	for i := 0; i < finite && total > 0; i++ {
		upper, n := buckets[i].GetUpperBound(), count(i)
		if n >= q*total {
			at := upper
			if n > below {
				at = lower + (upper-lower)*(q*total-below)/(n-below)
			}
			return &at
		}
		lower, below = upper, n
	}
	return nil
}

// collector collects the figures of a node on request, and remembers the previous ones. Any goroutine may use it.
type collector struct {
	gatherer prometheus.Gatherer
	started  time.Time

	mu             sync.Mutex
	before, latest *figures // guarded by mu
}

func newCollector(gatherer prometheus.Gatherer) *collector {
	return &collector{gatherer: gatherer, started: time.Now()}
}

// look returns the latest figures and the previous ones. At the first time, the previous ones are the zeros of the
// start.
func (c *collector) look() (before, latest *figures) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.latest == nil {
		c.latest = &figures{at: c.started}
	}
	if c.before == nil || now.Sub(c.latest.at) >= figuresInterval {
		all := &figures{at: now, families: map[string]*dto.MetricFamily{}}
		families, _ := c.gatherer.Gather() // a part is better than none
		for _, f := range families {
			all.families[f.GetName()] = f
		}
		c.before, c.latest = c.latest, all
	}
	return c.before, c.latest
}
