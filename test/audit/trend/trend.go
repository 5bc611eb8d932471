// Package trend decides whether a figure of a process grows with time. Such figures depend on the load at each moment
// and on chance, so it is not enough to compare the last sample with the first one.
package trend

import (
	"math"
	"slices"
	"time"
)

// Sample is a figure of a process at a moment.
type Sample struct {
	At time.Duration
	// Loads are what the figure may depend on besides time, such as the number of clients. All samples have as many.
	Loads []float64
	Value float64
}

// Trend is the linear function of time and loads that is next to samples, by least squares.
type Trend struct {
	Mean float64
	// Slope is by how much the figure grows in a unit of time while the loads are equal, and Error is the standard error
	// of Slope; infinite if the samples do not determine it.
	Slope, Error float64
}

// confidence is how many standard errors a slope has to be above a limit. Chance alone puts one of a thousand there.
const confidence = 3

// Of returns the trend of samples in their order. The slope is by unit.
func Of(samples []Sample, unit time.Duration) Trend {
	var at, value []float64
	for _, s := range samples {
		at = append(at, s.At.Seconds()/unit.Seconds())
		value = append(value, s.Value)
	}
	_ = center(at)
	unknown := Trend{Mean: center(value), Error: math.Inf(1)}
	if len(samples) == 0 {
		return unknown
	}
	loads := make([][]float64, len(samples[0].Loads))
	for i := range loads {
		for _, s := range samples {
			loads[i] = append(loads[i], s.Loads[i])
		}
		_ = center(loads[i])
	}
	// The slope counts only changes that the loads do not explain.
	for i, load := range loads {
		for _, other := range append(slices.Clone(loads[i+1:]), at, value) {
			subtract(other, load, part(other, load))
		}
	}
	free := len(samples) - len(loads) - 2 // degrees of freedom
	spread := product(at, at)
	if free < 1 || spread < nothing {
		return unknown
	}
	slope := part(value, at)
	subtract(value, at, slope) // the rest
	rest := product(value, value)
	variance := rest / float64(free) / spread
	return Trend{Mean: unknown.Mean, Slope: slope, Error: math.Sqrt(variance * inertia(value, rest))}
}

// nothing is a sum of squares that is as good as zero.
const nothing = 1e-9

// part returns which multiple of b is next to a.
func part(a, b []float64) float64 {
	squares := product(b, b)
	if squares < nothing {
		return 0
	}
	return product(a, b) / squares
}

// inertia returns the factor of the variance of a slope whose samples resemble those before them: a rest of the last
// garbage collection stays for several samples.
func inertia(rest []float64, squares float64) float64 {
	if squares < nothing {
		return 1
	}
	alike := min(max(0, product(rest[1:], rest[:len(rest)-1])/squares), 0.95)
	return (1 + alike) / (1 - alike)
}

// Exceeds reports whether the slope certainly lies above a limit.
func (t Trend) Exceeds(limit float64) bool { return t.Slope-confidence*t.Error > limit }

// center subtracts the mean and returns it.
func center(values []float64) (mean float64) {
	for _, v := range values {
		mean += v / float64(len(values))
	}
	for i := range values {
		values[i] -= mean
	}
	return mean
}

// subtract subtracts factor times others.
func subtract(values, others []float64, factor float64) {
	for i := range values {
		values[i] -= factor * others[i]
	}
}

// product returns the scalar product.
func product(a, b []float64) (sum float64) {
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}
