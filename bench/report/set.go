package report

import (
	"cmp"
	"math"
	"slices"

	"github.com/rte-server/rte-server/bench/runner"
)

// Set finds measurements. For a step with several runs it has the median run, by the main figure of the step, so that
// all figures of a row come from one run.
type Set struct {
	all map[key][]runner.Measurement
}

type key struct{ scenario, record, peer string }

// NewSet returns a set of the measurements of any number of runs.
func NewSet(measurements []runner.Measurement) *Set {
	s := &Set{all: map[key][]runner.Measurement{}}
	for _, m := range measurements {
		k := key{m.Scenario, m.Record, m.Peer}
		s.all[k] = append(s.all[k], m)
	}
	for _, runs := range s.all {
		slices.SortFunc(runs, func(a, b runner.Measurement) int { return cmp.Compare(figure(&a), figure(&b)) })
	}
	return s
}

// Get returns the median run of a step, nil if there is none.
func (s *Set) Get(scenario, record, peer string) *runner.Measurement {
	runs := s.all[key{scenario, record, peer}]
	if len(runs) == 0 {
		return nil
	}
	return &runs[(len(runs)-1)/2]
}

// Runs returns the number of runs of a step.
func (s *Set) Runs(scenario, record, peer string) int { return len(s.all[key{scenario, record, peer}]) }

// Median returns the median of a figure over the rounds. If the machine is slower for some minutes, both sides of a
// ratio are affected alike. A step that was not measured in a round counts with its median run.
func (s *Set) Median(figure func(*Set) float64) float64 {
	values := s.values(figure)
	if len(values) == 0 {
		return math.NaN()
	}
	return values[(len(values)-1)/2]
}

// values returns a figure of each round in ascending order.
func (s *Set) values(figure func(*Set) float64) (values []float64) {
	for run := range s.rounds() {
		if v := figure(s.round(run + 1)); !math.IsNaN(v) && !math.IsInf(v, 0) {
			values = append(values, v)
		}
	}
	slices.Sort(values)
	return values
}

func (s *Set) rounds() (rounds int) {
	for _, runs := range s.all {
		rounds = max(rounds, len(runs))
	}
	return rounds
}

// round returns a set with the measurements of one run only.
func (s *Set) round(run int) *Set {
	round := &Set{all: make(map[key][]runner.Measurement, len(s.all))}
	for k, runs := range s.all {
		at := slices.IndexFunc(runs, func(m runner.Measurement) bool { return m.Run == run })
		if at < 0 {
			at = (len(runs) - 1) / 2
		}
		round.all[k] = runs[at : at+1]
	}
	return round
}

// figure returns the main figure of a step, by which its runs are ordered: CPU per delivery or per event, time, or
// memory.
func figure(m *runner.Measurement) float64 {
	switch {
	case m.Delivered() > 0:
		return m.CPUPerDelivery()
	case m.Published > 0:
		return m.CPUPerEvent()
	case len(m.Groups) > 0:
		return m.Seconds
	default:
		return float64(m.RSS)
	}
}
