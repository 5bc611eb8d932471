package report

import (
	"cmp"
	"slices"

	"github.com/rte-server/rte-server/bench/runner"
)

// Set finds measurements. Where a step was measured in several runs it answers with the run in the middle, by the
// figure that the step is about, so that all figures of a row come from the same run.
type Set struct {
	all map[key][]runner.Measurement
}

type key struct{ scenario, record, peer string }

// NewSet takes the measurements of any number of runs.
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

// Get is the measurement of one step; nil if there is none.
func (s *Set) Get(scenario, record, peer string) *runner.Measurement {
	runs := s.all[key{scenario, record, peer}]
	if len(runs) == 0 {
		return nil
	}
	return &runs[(len(runs)-1)/2]
}

// Runs is how often a step was measured.
func (s *Set) Runs(scenario, record, peer string) int { return len(s.all[key{scenario, record, peer}]) }

// figure orders the runs of one step: by CPU per delivery, per event, or by memory, whatever the step has.
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
