package simulator

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// The bounds of a scenario. Without them a file could describe a day that no machine can simulate.
const (
	maxRate     = 1000 // per agent and hour
	maxDuration = 24 * time.Hour
	maxEntries  = 1000
)

// check returns the mistakes of the scenario.
func (s *Scenario) check(o *Organization) error {
	queues := map[string]bool{}
	for _, q := range o.Queues {
		queues[q.Name] = true
	}
	return errors.Join(
		s.checkRates(), s.checkFractions(), s.checkDurations(), s.checkHours(queues), s.checkAlerts(),
		s.checkIncidents(queues),
	)
}

func (s *Scenario) checkRates() error {
	var errs []error
	rate := func(name string, value float64) {
		if !(value >= 0 && value <= maxRate) {
			errs = append(errs, fmt.Errorf("%s: %v is not between 0 and %d", name, value, maxRate))
		}
	}
	if len(s.Calls) == 0 || len(s.Calls) > maxEntries {
		errs = append(errs, fmt.Errorf("calls: needs between 1 and %d points", maxEntries))
	}
	for i, p := range s.Calls {
		rate(fmt.Sprintf("calls[%d].rate", i), p.Rate)
		if i > 0 && p.At <= s.Calls[i-1].At {
			errs = append(errs, fmt.Errorf("calls[%d].at: %s is not later than the point before", i, p.At))
		}
	}
	rate("direct", s.Direct)
	rate("outgoing", s.Outgoing)
	rate("requests", s.Requests)
	rate("breaks", s.Breaks)
	rate("fetchModes", s.FetchModes)
	rate("settings", s.Settings)
	rate("supervisions", s.Supervisions)
	return errors.Join(errs...)
}

func (s *Scenario) checkFractions() error {
	var errs []error
	together := func(name string, values ...float64) {
		sum, bad := 0.0, false
		for _, value := range values {
			sum += value
			bad = bad || !(value >= 0)
		}
		if bad || sum > 1 || math.IsNaN(sum) {
			errs = append(errs, fmt.Errorf("%s: %v must be fractions, with a sum of at most 1", name, values))
		}
	}
	together("declined, unanswered", s.Declined, s.Unanswered)
	together("blindTransfer, attendedTransfer", s.Blind, s.Attended)
	together("hold", s.Hold)
	together("park", s.Park)
	together("cancelledTransfer", s.Cancelled)
	return errors.Join(errs...)
}

func (s *Scenario) checkDurations() error {
	var errs []error
	duration := func(name string, value, least time.Duration) {
		if value < least || value > maxDuration {
			errs = append(errs, fmt.Errorf("%s: %v is not between %v and %v", name, value, least, maxDuration))
		}
	}
	duration("patience.least", s.Patience.Least, 0)
	duration("patience.mean", s.Patience.Mean, 0)
	duration("answer.least", s.Answer.Least, 0)
	duration("answer.most", s.Answer.Most, s.Answer.Least)
	duration("ringing", s.Ringing, s.Answer.Most)
	duration("talk.least", s.Talk.Least, 0)
	duration("talk.mean", s.Talk.Mean, 0)
	duration("wrapUp", s.WrapUp, 2*time.Second)
	duration("maxWait", s.MaxWait, time.Second)
	duration("serviceLevel", s.ServiceLevel, time.Second)
	duration("refresh", s.Refresh, time.Second)
	if s.QueueSize < 1 || s.QueueSize > 1_000_000 {
		errs = append(errs, fmt.Errorf("queueSize: %d is not between 1 and 1000000", s.QueueSize))
	}
	return errors.Join(errs...)
}

func (s *Scenario) checkHours(queues map[string]bool) error {
	var errs []error
	hours := func(name string, all []Hours) {
		for i, h := range all {
			if h.From >= h.To {
				errs = append(errs, fmt.Errorf("%s[%d]: %s is not before %s", name, i, h.From, h.To))
			}
		}
	}
	if len(s.Shifts) == 0 {
		errs = append(errs, errors.New("shifts: needs one"))
	}
	hours("shifts", s.Shifts)
	for _, queue := range slices.Sorted(maps.Keys(s.Hours)) {
		if queue != "default" && !queues[queue] {
			errs = append(errs, unknownQueue("hours", queue, queues))
		}
		hours("hours."+queue, s.Hours[queue])
	}
	return errors.Join(errs...)
}

func unknownQueue(key, queue string, queues map[string]bool) error {
	return fmt.Errorf("%s: no queue %q; there are %q", key, queue, slices.Sorted(maps.Keys(queues)))
}

func (s *Scenario) checkAlerts() error {
	var errs []error
	if len(s.Alerts) > maxEntries {
		errs = append(errs, fmt.Errorf("alerts: more than %d", maxEntries))
	}
	for i, rule := range s.Alerts {
		if rule.When != alertWaiting && rule.When != alertLongestWait {
			errs = append(errs, fmt.Errorf("alerts[%d].when: %q is neither %s nor %s", i, rule.When, alertWaiting,
				alertLongestWait))
		}
		if rule.Least < 1 || rule.Name == "" {
			errs = append(errs, fmt.Errorf("alerts[%d]: needs a name, and a value of at least 1", i))
		}
	}
	return errors.Join(errs...)
}

func (s *Scenario) checkIncidents(queues map[string]bool) error {
	var errs []error
	if len(s.Incidents) > maxEntries {
		errs = append(errs, fmt.Errorf("incidents: more than %d", maxEntries))
	}
	for i, incident := range s.Incidents {
		key := fmt.Sprintf("incidents[%d]", i)
		if incident.At < 0 || incident.For <= 0 {
			errs = append(errs, fmt.Errorf("%s: at must not be negative, and for must be positive", key))
		}
		if needsQueue := incident.Kind == incidentOutage; (needsQueue || incident.Queue != "") && !queues[incident.Queue] {
			errs = append(errs, unknownQueue(key+".queue", incident.Queue, queues))
		}
		switch incident.Kind {
		case incidentSurge:
			if !(incident.Factor >= 0 && incident.Factor <= 100) {
				errs = append(errs, fmt.Errorf("%s.factor: %v is not between 0 and 100", key, incident.Factor))
			}
		case incidentAbsence:
			if !(incident.Fraction > 0 && incident.Fraction <= 1) {
				errs = append(errs, fmt.Errorf("%s.fraction: %v is not above 0 and at most 1", key, incident.Fraction))
			}
		case incidentOutage:
		default:
			errs = append(errs, fmt.Errorf("%s.kind: %q is none of %s, %s and %s", key, incident.Kind, incidentSurge,
				incidentOutage, incidentAbsence))
		}
	}
	return errors.Join(errs...)
}
