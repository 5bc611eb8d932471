package demo

import (
	"slices"
	"strconv"
	"time"
)

const (
	timeBetweenBreaks   = 35 * time.Second // of all agents together
	timeBetweenSettings = 30 * time.Second
	// refreshTime is the time in which every status is published again, changed or not. So a client that subscribes during
	// the day soon has all states.
	refreshTime = 20 * time.Second
	// waitTick is the interval of the checks of waiting times.
	waitTick = 3 * time.Second
)

// open begins the day: nearly all agents are at work, and the first callers arrive.
func (s *Simulator) open() {
	for _, a := range s.everybody() {
		s.touch(a)
	}
	for _, q := range s.queues {
		s.touchQueue(q)
	}
	for range len(s.agents) / 10 {
		s.setAvailability(pick(s, s.agents), "OffWork", "Back in a while", s.between(2*time.Minute, 5*time.Minute))
	}
	s.callerArrives()
	s.directCallArrives()
	s.renewalIsDue()
	s.someoneCallsBack()
	s.someoneTakesABreak()
	s.someoneChangesASetting()
	s.watchWaiting()
	s.refresh(0)
}

// someoneTakesABreak makes a free agent unavailable for a while.
func (s *Simulator) someoneTakesABreak() {
	s.after(s.around(timeBetweenBreaks), s.someoneTakesABreak)
	a := pick(s, s.agents)
	if !a.free() {
		return
	}
	kinds := []struct{ availability, note string }{
		{"Away", "Lunch"}, {"BRB", "Coffee"}, {"DoNotDisturb", "Paperwork"}, {"Busy", "Team meeting"},
	}
	kind := pick(s, kinds)
	s.setAvailability(a, kind.availability, kind.note, s.between(20*time.Second, 90*time.Second))
}

// setAvailability makes an agent unavailable for a while.
func (s *Simulator) setAvailability(a *agent, availability, note string, d time.Duration) {
	if a.availability != "Available" {
		return
	}
	s.changeAvailability(a, availability, note, stamp(s.clock(s.now+d)))
	s.after(d, func() {
		a.freeSince = s.now
		s.changeAvailability(a, "Available", "", forever)
	})
}

func (s *Simulator) changeAvailability(a *agent, availability, note, end string) {
	a.availability = availability
	s.touch(a)
	s.emit("UserAvailability", a.ID, fields{
		"UserId": a.ID.String(), "UserName": a.Login, "ProfileId": s.newID().String(),
		"Availability": availability, "StartTime": stamp(s.clock(s.now)), "EndTime": end,
		"Note": note, "EventSource": "User", "TransferNumber": "",
	})
}

// someoneChangesASetting publishes a setting whose dictionaries have keys in several spellings.
func (s *Simulator) someoneChangesASetting() {
	s.after(s.around(timeBetweenSettings), s.someoneChangesASetting)
	a := pick(s, s.agents)
	tones := []string{"Classic", "Marimba", "Silent"}
	allowed := fields{}
	for _, tone := range tones {
		allowed[tone] = tone + " ringtone"
	}
	tone := pick(s, tones)
	s.emit("UserSetting", a.ID, fields{
		"UserId": a.ID.String(), "Keyword": "Softphone.RingTone", "Value": tone,
		"Values": fields{"Tone": tone, "volume": itoa(10 * s.chance.IntN(10))}, "AllowedValues": allowed,
		"Deleted": false, "Level": "Undefined",
	})
}

// watchWaiting checks the waiting times of queues.
func (s *Simulator) watchWaiting() {
	s.after(waitTick, s.watchWaiting)
	for _, q := range s.queues {
		if q.waiting() > 0 {
			s.touchQueue(q)
		}
	}
}

// refresh publishes one status again and schedules the next one.
func (s *Simulator) refresh(i int) {
	users := s.everybody()
	all := len(users) + len(s.queues)
	if i < len(users) {
		users[i].last = nil
		s.touch(users[i])
	} else {
		s.queues[i-len(users)].last = nil
		s.touchQueue(s.queues[i-len(users)])
	}
	s.after(refreshTime/time.Duration(all), func() { s.refresh((i + 1) % all) })
}

// everybody returns all users, supervisors first.
func (s *Simulator) everybody() []*agent { return slices.Concat(s.supervisors, s.agents) }

func itoa(n int) string { return strconv.Itoa(n) }
