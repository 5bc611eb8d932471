package simulator

import (
	"slices"
	"strconv"
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// followShift makes an agent come or go by its shift and by absences, and schedules the next change.
func (s *Simulator) followShift(a *agent) {
	wanted := !a.absent && contains([]Hours{a.shift}, s.timeOfDay(s.now))
	switch {
	case wanted && !a.atWork:
		a.atWork, a.leaving, a.freeSince = true, false, s.now
		s.touch(a)
		if s.now > 0 {
			s.changeAvailability(a, events.AvailabilityAvailable, "", forever)
		}
	case wanted:
		a.leaving = false
		s.touch(a)
	case a.atWork:
		a.leaving = true
		s.leaveIfIdle(a)
		s.touch(a)
	case s.now == 0:
		s.goHome(a)
	}
}

// watchShifts follows the shifts of all agents and the hours of all queues. Their times are minutes, so a delay of
// some seconds is small.
func (s *Simulator) watchShifts() {
	for _, a := range s.agents {
		if contains([]Hours{a.shift}, s.timeOfDay(s.now)) != (a.atWork && !a.leaving) && !a.absent {
			s.followShift(a)
		}
	}
	for _, q := range s.queues {
		s.followHours(q)
	}
}

// leaveIfIdle sends an agent home whose shift is over.
func (s *Simulator) leaveIfIdle(a *agent) {
	if a.leaving && a.idle() {
		s.goHome(a)
	}
}

func (s *Simulator) goHome(a *agent) {
	a.atWork, a.leaving, a.fetching = false, false, false
	s.touch(a)
	note := "Off duty"
	if a.absent {
		note = "Absent"
	}
	s.changeAvailability(a, events.AvailabilityOffWork, note, forever)
}

// followHours opens or closes a queue by its hours.
func (s *Simulator) followHours(q *queue) {
	if open := contains(q.hours, s.timeOfDay(s.now)); open != q.open {
		q.open = open
		s.touchQueue(q)
	}
}

// outage begins (1) or ends (-1) an outage of a queue. Waiting calls leave it.
func (s *Simulator) outage(q *queue, change int) {
	q.outages += change
	s.touchQueue(q)
	if q.outages == 0 {
		s.offer(q)
		return
	}
	for _, c := range slices.Clone(q.line) {
		if c.state == callWaiting {
			s.divert(c, events.OverflowReasonNoAvailableProviders, events.OverflowTypeTerminationHandling)
		}
	}
}

// someoneTakesABreak makes an idle agent unavailable for a while.
func (s *Simulator) someoneTakesABreak() {
	a := pick(s, s.agents)
	if !a.free() {
		return
	}
	kinds := []struct{ availability, note string }{
		{events.AvailabilityAway, "Lunch"},
		{events.AvailabilityBRB, "Coffee"},
		{events.AvailabilityDoNotDisturb, "Paperwork"},
		{events.AvailabilityBusy, "Team meeting"},
	}
	kind := pick(s, kinds)
	s.takeBreak(a, kind.availability, kind.note, s.between(20*time.Second, 90*time.Second))
}

// takeBreak makes an available agent unavailable for a while.
func (s *Simulator) takeBreak(a *agent, availability, note string, d time.Duration) {
	if a.availability != events.AvailabilityAvailable || !a.atWork {
		return
	}
	s.changeAvailability(a, availability, note, s.stampAt(s.now+d))
	since := a.away
	s.after(d, func() {
		if a.availability != availability || a.away != since {
			return // the shift ended in between
		}
		a.freeSince = s.now
		s.changeAvailability(a, events.AvailabilityAvailable, "", forever)
	})
}

func (s *Simulator) changeAvailability(a *agent, availability, note, end string) {
	a.availability, a.note, a.away = availability, note, s.now
	s.touch(a)
	s.end(s.begin(events.UserAvailability, a.id).
		text("UserId", a.id).text("UserName", a.Login).text("ProfileId", s.newID().String()).
		text("Availability", availability).text("StartTime", s.stamp).text("EndTime", end).
		text("Note", note).text("EventSource", "User").text("TransferNumber", ""))
}

// someoneFetches makes an idle agent fetch calls manually for a while.
func (s *Simulator) someoneFetches() {
	a := pick(s, s.agents)
	if !a.free() {
		return
	}
	s.setFetching(a, true)
	until := s.now + s.between(20*time.Second, 90*time.Second)
	var look func()
	look = func() {
		if !a.fetching {
			return // its shift ended
		}
		if s.now >= until && a.idle() {
			s.setFetching(a, false)
			return
		}
		s.fetch(a)
		s.after(s.between(2*time.Second, 6*time.Second), look)
	}
	s.after(s.between(2*time.Second, 6*time.Second), look)
}

func (s *Simulator) setFetching(a *agent, fetching bool) {
	a.fetching, a.freeSince = fetching, s.now
	s.setting(a, "FetchMode", strconv.FormatBool(fetching), [2]string{"true", "Fetch calls"},
		[2]string{"false", "Get calls"})
	s.touch(a)
}

// someoneChangesASetting publishes a setting whose dictionaries have keys in several spellings.
func (s *Simulator) someoneChangesASetting() {
	tone := pick(s, []string{"Classic", "Marimba", "Silent"})
	s.setting(pick(s, s.agents), "Softphone.RingTone", tone, [2]string{"Classic", "Classic ringtone"},
		[2]string{"Marimba", "Marimba ringtone"}, [2]string{"Silent", "Silent ringtone"})
}

func (s *Simulator) setting(a *agent, keyword, value string, allowed ...[2]string) {
	s.end(s.begin(events.UserSetting, a.id).
		text("UserId", a.id).text("Keyword", keyword).text("Value", value).
		texts("Values", [2]string{"Value", value}, [2]string{"volume", strconv.Itoa(10 * s.chance.IntN(10))}).
		texts("AllowedValues", allowed...).
		flag("Deleted", false).text("Level", "Undefined"))
}
