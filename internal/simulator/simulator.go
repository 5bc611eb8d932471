package simulator

import (
	"errors"
	"math/rand/v2"
	"time"
)

// Options are the options of a Simulator.
type Options struct {
	// Organization is the simulated organization, Scenario its day. Required.
	Organization *Organization
	Scenario     *Scenario
	// Seed seeds all random decisions.
	Seed uint64
	// Start is the time of the first event; zero: a fixed one.
	Start time.Time
	// Speed is the speed of simulated time, relative to the times of the events; 0: 1.
	Speed float64
}

// Simulator is the model of a call centre. Callers arrive in queues, are allocated to agents, talk, are transferred,
// hang up, give up waiting and are called back. The states of users and queues follow. Call its methods from one
// goroutine at a time.
type Simulator struct {
	options  Options
	scenario *Scenario
	run      string // id of this run
	chance   *rand.Rand
	start    time.Time     // time of the first event
	now      time.Duration // simulated time since the start
	stamp    string        // now, as in events
	agenda   agenda
	encoder  encoder
	emit     func(data []byte)
	made     int // events so far
	opened   bool
	surge    float64 // of all queues
	history  history
	floor
}

// New returns a Simulator at the start of its day.
func New(o Options) (*Simulator, error) {
	switch {
	case o.Organization == nil:
		return nil, errors.New("simulator: Options.Organization is required")
	case o.Scenario == nil:
		return nil, errors.New("simulator: Options.Scenario is required")
	}
	if o.Speed == 0 {
		o.Speed = 1
	}
	if o.Start.IsZero() {
		o.Start = time.Date(2026, time.January, 5, 8, 0, 0, 0, time.UTC)
	}
	s := &Simulator{
		options: o, scenario: o.Scenario, start: o.Start, surge: 1,
		chance:  rand.New(rand.NewPCG(o.Seed, 0)), //nolint:gosec // the random numbers must be repeatable
		encoder: newEncoder(o.Organization.ID), floor: newFloor(o.Organization, o.Scenario),
	}
	s.run = s.newID().String()
	s.stamp = stamp(s.clock(0))
	return s, nil
}

// Next returns the time of the next moment, as Clock does.
func (s *Simulator) Next() time.Time {
	if !s.opened {
		return s.clock(0)
	}
	return s.clock(s.agenda.first())
}

// Elapsed returns the simulated time since the start.
func (s *Simulator) Elapsed() time.Duration { return s.now }

// Advance lets the next moment happen and calls emit with each of its events, as JSON. The data is valid until emit
// returns.
func (s *Simulator) Advance(emit func(data []byte)) {
	s.emit = emit
	if !s.opened {
		s.opened = true
		s.open()
	} else {
		s.now = s.agenda.first()
		s.stamp = stamp(s.clock(s.now))
		for s.agenda.first() == s.now {
			s.agenda.next().do()
		}
	}
	s.allocate()
	s.reportStatus()
}

// Delay moves all further events to later times. A player that could not keep up with the clock calls it.
func (s *Simulator) Delay(by time.Duration) { s.start = s.start.Add(by) }

// clock returns the time of a moment as events have it.
func (s *Simulator) clock(at time.Duration) time.Time {
	return s.start.Add(time.Duration(float64(at) / s.options.Speed)).UTC()
}

// stampAt returns the time of a moment as text.
func (s *Simulator) stampAt(at time.Duration) string { return stamp(s.clock(at)) }

// timeOfDay returns the simulated time of day at a moment.
func (s *Simulator) timeOfDay(at time.Duration) TimeOfDay {
	return TimeOfDay((time.Duration(s.scenario.Clock) + at) % (24 * time.Hour))
}

// Rate returns the average number of events per second in the first ten minutes of a day at speed 1. It costs a
// simulation of this time.
func Rate(o Options) (float64, error) {
	const span = 10 * time.Minute
	o.Speed = 1
	s, err := New(o)
	if err != nil {
		return 0, err
	}
	for s.Next().Before(s.clock(span)) {
		s.Advance(nil)
	}
	return float64(s.made) / span.Seconds(), nil
}

// waitTick is the interval of the checks of waiting times.
const waitTick = 3 * time.Second

// shiftTick is the interval of the checks of shifts and opening hours.
const shiftTick = 10 * time.Second

// open begins the day.
func (s *Simulator) open() {
	for _, q := range s.queues {
		s.followHours(q)
		s.touchQueue(q)
	}
	for _, a := range s.users {
		s.followShift(a)
		s.touch(a)
	}
	for _, incident := range s.scenario.Incidents {
		if incident.At == 0 {
			s.begins(incident)
			continue
		}
		s.after(incident.At, func() { s.begins(incident) })
	}
	c := s.scenario
	s.callersArrive()
	agents := float64(len(s.agents))
	s.often(c.Direct*agents, s.directCallArrives)
	s.often(c.Outgoing*agents, s.someoneCalls)
	s.often(c.Requests*agents, s.callbackIsRequested)
	s.often(c.Requests*agents*2, s.someoneCallsBack)
	s.often(c.Breaks*agents, s.someoneTakesABreak)
	s.often(c.FetchModes*agents, s.someoneFetches)
	s.often(c.Settings*agents, s.someoneChangesASetting)
	s.often(c.Supervisions*float64(len(s.supervisors)), s.someoneSupervises)
	s.every(func() time.Duration { return waitTick }, s.watchWaiting)
	s.every(func() time.Duration { return shiftTick }, s.watchShifts)
	s.every(func() time.Duration { return sampleTime }, s.sample)
	s.sample()
	s.refresh(0)
}

// often calls a function at a rate per hour.
func (s *Simulator) often(perHour float64, do func()) {
	if perHour > 0 {
		s.every(func() time.Duration { return s.gap(perHour) }, do)
	}
}

// watchWaiting publishes the waiting times of queues.
func (s *Simulator) watchWaiting() {
	for _, q := range s.queues {
		if q.counters.waiting > 0 {
			s.touchQueue(q)
		}
	}
}

// refresh publishes one status again and schedules the next one. So a client that subscribes during the day soon has
// all states.
func (s *Simulator) refresh(i int) {
	all := len(s.users) + len(s.queues)
	if i < len(s.users) {
		s.users[i].published = false
		s.touch(s.users[i])
	} else {
		s.queues[i-len(s.users)].published = false
		s.touchQueue(s.queues[i-len(s.users)])
	}
	s.after(max(tick, s.scenario.Refresh/time.Duration(all)), func() { s.refresh((i + 1) % all) })
}

// begins begins an incident and schedules its end.
func (s *Simulator) begins(incident Incident) {
	var end func()
	switch incident.Kind {
	case incidentSurge:
		factor := &s.surge
		if q := s.queueNamed(incident.Queue); q != nil {
			factor = &q.surge
		}
		before := *factor
		*factor = incident.Factor
		end = func() { *factor = before }
	case incidentOutage:
		q := s.queueNamed(incident.Queue)
		s.outage(q, 1)
		end = func() { s.outage(q, -1) }
	case incidentAbsence:
		var missing []*agent
		for i, a := range s.agents {
			if int(float64(i+1)*incident.Fraction) > int(float64(i)*incident.Fraction) {
				a.absent = true
				missing = append(missing, a)
				s.followShift(a)
			}
		}
		end = func() {
			for _, a := range missing {
				a.absent = false
				s.followShift(a)
			}
		}
	}
	s.after(incident.For, end)
}

func (s *Simulator) queueNamed(name string) *queue {
	for _, q := range s.queues {
		if q.Name == name {
			return q
		}
	}
	return nil
}
