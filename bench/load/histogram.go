package load

import (
	"math/bits"
	"time"
)

const (
	// subBuckets is the number of buckets per power of two, which keeps the error of a percentile below 1/64.
	subBuckets    = 64
	subBucketBits = 6
	powers        = 40 // 2^40 ns: 18 minutes, longer than any run
)

// Histogram counts durations. Its buckets grow with the duration.
type Histogram struct {
	counts [powers * subBuckets]uint64
	total  uint64
	max    int64
}

// Add counts one duration. A negative one counts as zero.
func (h *Histogram) Add(nanos int64) {
	nanos = max(nanos, 0)
	h.counts[bucket(uint64(nanos))]++
	h.total++
	h.max = max(h.max, nanos)
}

// Total returns the number of durations.
func (h *Histogram) Total() uint64 { return h.total }

// Max returns the longest duration.
func (h *Histogram) Max() time.Duration { return time.Duration(h.max) }

// Quantile returns the duration that the fraction q of all durations does not exceed, 0 if there are none.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.total == 0 {
		return 0
	}
	rank := uint64(q * float64(h.total))
	var seen uint64
	for i, n := range h.counts {
		if seen += n; seen > rank {
			return time.Duration(min(upper(i), h.max))
		}
	}
	return time.Duration(h.max)
}

func bucket(v uint64) int {
	if v < subBuckets {
		return int(v)
	}
	shift := bits.Len64(v) - subBucketBits - 1
	//nolint:gosec // bounded by the shift
	return min((shift+1)<<subBucketBits|int(v>>shift)&(subBuckets-1), powers*subBuckets-1)
}

// upper returns the largest value of a bucket.
func upper(i int) int64 {
	if i < subBuckets {
		return int64(i)
	}
	shift := i>>subBucketBits - 1
	return (int64(i&(subBuckets-1)|subBuckets)+1)<<shift - 1
}
