package trend_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/rte-server/rte-server/test/audit/trend"
)

// cycle is the time between two samples of the soak, and cycles is their number in an hour without its first ten
// minutes.
const (
	cycle  = 20 * time.Second
	cycles = 150
)

// samples returns samples of a figure by chance, the number of the cycle and the number of clients.
func samples(seed uint64, figure func(chance *rand.Rand, cycle, clients float64) float64) (list []trend.Sample) {
	chance := rand.New(rand.NewPCG(seed, 0))
	clients := 6.0
	for i := range cycles {
		if chance.IntN(3) == 0 { // a fault moves clients
			clients = float64(2 + chance.IntN(12))
		}
		list = append(list, trend.Sample{
			At: time.Duration(i) * cycle, Loads: []float64{clients, float64(i % 3)},
			Value: figure(chance, float64(i), clients),
		})
	}
	return list
}

// heap is memory in use: 9 MB, 40 KB for each client, and something by chance.
func heap(chance *rand.Rand, clients float64) float64 {
	return 9e6 + 40e3*clients + 40e3*chance.NormFloat64()
}

func TestTrend_noticesLeaksNotNoise(t *testing.T) {
	for name, test := range map[string]struct {
		figure func(chance *rand.Rand, cycle, clients float64) float64
		limit  float64 // for each cycle
		want   bool
	}{
		"memory with noise": {func(chance *rand.Rand, _, clients float64) float64 {
			return heap(chance, clients)
		}, 512, false},
		"memory with a leak of 1 KB for each cycle": {func(chance *rand.Rand, cycle, clients float64) float64 {
			return heap(chance, clients) + 1024*cycle
		}, 512, true},
		"memory in a sawtooth that lasts ten cycles": {func(chance *rand.Rand, cycle, clients float64) float64 {
			return heap(chance, clients) + 100e3*float64(int(cycle)%10)
		}, 512, false},
		"goroutines of clients": {func(chance *rand.Rand, _, clients float64) float64 {
			return 80 + 2*clients + float64(chance.IntN(4))
		}, 0.02, false},
		"a goroutine left by one of twenty faults": {func(chance *rand.Rand, cycle, clients float64) float64 {
			return 80 + 2*clients + float64(chance.IntN(4)) + float64(int(cycle)/20)
		}, 0.02, true},
		"descriptors that stay equal": {func(*rand.Rand, float64, float64) float64 { return 20 }, 0.02, false},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(50) {
				line := trend.Of(samples(seed, test.figure), cycle)
				if got := line.Exceeds(test.limit); got != test.want {
					t.Errorf("seed %d: slope %.3g with error %.3g for each cycle: exceeds %g: %t, want %t",
						seed, line.Slope, line.Error, test.limit, got, test.want)
				}
			}
		})
	}
}

// Clients that come one by one make a figure grow. No program can tell this growth from a leak.
func TestTrend_doesNotKnowTimeFromLoad(t *testing.T) {
	var list []trend.Sample
	for i := range cycles {
		list = append(list, trend.Sample{At: time.Duration(i) * cycle, Loads: []float64{float64(i)}, Value: float64(3 * i)})
	}
	for name, few := range map[string][]trend.Sample{"equal load and time": list, "three samples": list[:3], "none": nil} {
		if line := trend.Of(few, cycle); line.Exceeds(0) {
			t.Errorf("%s: slope %g with error %g", name, line.Slope, line.Error)
		}
	}
}

func TestTrend_isExact(t *testing.T) {
	list := samples(1, func(_ *rand.Rand, cycle, clients float64) float64 { return 100 + 3*cycle + 7*clients })
	line := trend.Of(list, cycle)
	if line.Slope < 2.999 || line.Slope > 3.001 || line.Error > 0.001 {
		t.Errorf("slope %g with error %g, want 3", line.Slope, line.Error)
	}
}
