package fanout_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
)

// elapse lets time pass and what is due then happen.
func elapse(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// resting returns options with a bound for rests, and a processor that is short.
func resting(rest time.Duration) fanout.Options {
	o := fanout.Options{Shards: 1, Flow: fanout.FlowOptions{Rest: rest}}
	o.AlwaysShort()
	return o
}

func TestRest_collectsEvents(t *testing.T) {
	const clients = 10 // 10 ms of writes
	learn := func(r *rig, crowd []*socket) {
		release := crowd[0].hold()
		r.publish(callTopic(0), "held")
		synctest.Wait()
		r.publish(callTopic(1), "x")
		r.publish(callTopic(2), "y")
		release()
		elapse(time.Second)
		for _, s := range crowd {
			s.lines()
		}
	}
	// busy makes a round after which the turn queue may rest.
	busy := func(r *rig, crowd []*socket) {
		r.publish(callTopic(0), "a")
		elapse(clients * time.Millisecond)
		crowd[0].lines()
	}
	tests := map[string]struct {
		rest  time.Duration
		check func(t *testing.T, r *rig, crowd []*socket)
	}{
		"the first event after a pause is not held back": {
			rest: 25 * time.Millisecond,
			check: func(t *testing.T, r *rig, crowd []*socket) {
				r.publish(callTopic(0), "a")
				elapse(1100 * time.Microsecond)
				want(t, crowd[0].events(), "a")
			},
		},
		"events within twice the time of the last writes share a write": {
			rest: 25 * time.Millisecond,
			check: func(t *testing.T, r *rig, crowd []*socket) {
				r.publish(callTopic(0), "a")
				elapse(10 * time.Millisecond)
				want(t, crowd[clients-1].events(), "a")
				crowd[0].lines()
				r.publish(callTopic(1), "b")
				elapse(10 * time.Millisecond)
				r.publish(callTopic(2), "c")
				elapse(9 * time.Millisecond)
				want(t, crowd[0].events(), "")
				elapse(3 * time.Millisecond)
				want(t, crowd[0].events(), "b c")
			},
		},
		"events are not held back for longer than the bound": {
			rest: 5 * time.Millisecond,
			check: func(t *testing.T, r *rig, crowd []*socket) {
				busy(r, crowd)
				r.publish(callTopic(1), "b")
				elapse(4 * time.Millisecond)
				want(t, crowd[0].events(), "")
				elapse(3 * time.Millisecond)
				want(t, crowd[0].events(), "b")
			},
		},
		"events are not held back where rests are off": {
			rest: 0,
			check: func(t *testing.T, r *rig, crowd []*socket) {
				busy(r, crowd)
				r.publish(callTopic(1), "b")
				elapse(1100 * time.Microsecond)
				want(t, crowd[0].events(), "b")
			},
		},
		"other organizations and answers do not wait": {
			rest: 25 * time.Millisecond,
			check: func(t *testing.T, r *rig, crowd []*socket) {
				other, topic := newSocket(), events.Topic{Organization: events.ID{7}, Type: 1}
				r.subscribe(r.Open(other, fanout.ProtocolJSON), topic)
				o := r.Open(crowd[0], fanout.ProtocolJSON)
				busy(r, crowd)
				r.publish(callTopic(1), "b")
				r.publish(topic, "other")
				o.Send([]byte("answer\n"))
				elapse(1100 * time.Microsecond)
				want(t, other.events(), "other")
				want(t, crowd[0].events(), "answer")
				elapse(30 * time.Millisecond)
				want(t, crowd[0].events(), "b")
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			run(t, resting(tt.rest), func(t *testing.T, r *rig) {
				crowd := slowCrowd(r, clients, 3)
				learn(r, crowd)
				tt.check(t, r, crowd)
			})
		})
	}
	t.Run("events of different clients are not held back", func(t *testing.T) {
		run(t, resting(25*time.Millisecond), func(t *testing.T, r *rig) {
			crowd := slowCrowd(r, 1, 1)
			for n := 1; n <= 10; n++ {
				s := newSocket()
				s.takes = time.Millisecond
				r.subscribe(r.Open(s, fanout.ProtocolJSON), callTopic(n))
				crowd = append(crowd, s)
			}
			for range 3 {
				for n := range crowd {
					r.publish(callTopic(n), "a")
				}
				elapse(12 * time.Millisecond)
				for _, s := range crowd {
					want(t, s.events(), "a")
				}
			}
		})
	})
	// The work of the shard for other organizations before a round counted as part of the round.
	t.Run("a round does not include earlier work", func(t *testing.T) {
		o := resting(100 * time.Millisecond)
		o.Outbox.WriteBytes = 100
		run(t, o, func(t *testing.T, r *rig) {
			answered, other := newSocket(), newSocket()
			answered.takes = 50 * time.Millisecond
			o, topic := r.Open(answered, fanout.ProtocolJSON), events.Topic{Organization: events.ID{7}, Type: 1}
			r.subscribe(r.Open(other, fanout.ProtocolJSON), topic)
			crowd := slowCrowd(r, clients, 3)
			learn(r, crowd)
			release := other.hold()
			r.publish(topic, "held")
			synctest.Wait()
			r.publish(callTopic(0), "a")
			o.Send(make([]byte, 100)) // written as soon as it is taken
			release()
			elapse(answered.takes + clients*time.Millisecond)
			want(t, crowd[clients-1].events(), "a")
			crowd[0].lines()
			r.publish(callTopic(1), "b")
			elapse(22 * time.Millisecond)
			want(t, crowd[0].events(), "b")
		})
	})
	t.Run("a turn queue is retired after a pause", func(t *testing.T) {
		run(t, resting(25*time.Millisecond), func(t *testing.T, r *rig) {
			crowd := slowCrowd(r, clients, 3)
			learn(r, crowd)
			elapse(2 * time.Second)
			busy(r, crowd)
			r.publish(callTopic(1), "b")
			elapse(1100 * time.Microsecond)
			want(t, crowd[0].events(), "b")
		})
	})
}

// Events were held back by up to 20 ms although the processor was idle for two thirds of the time: the median delay of
// a wallboard was 20 ms instead of 4.
func TestRest_onlyWhereTheProcessorIsShort(t *testing.T) {
	const clients = 10 // 10 ms of writes, after which a turn queue rests for 20 ms at most
	for name, test := range map[string]struct {
		busy   time.Duration // how long the shard is at work before a round of two events
		notYet time.Duration // how long the next event is held back at least
		by     time.Duration // and at most
	}{
		"half of the recent time at work": {50 * time.Millisecond, 0, 2 * time.Millisecond},
		"four fifths of it":               {140 * time.Millisecond, 8 * time.Millisecond, 16 * time.Millisecond},
		"all of it":                       {time.Second, 17 * time.Millisecond, 22 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			o := fanout.Options{Shards: 1, Flow: fanout.FlowOptions{Rest: 100 * time.Millisecond}}
			run(t, o, func(t *testing.T, r *rig) {
				crowd := slowCrowd(r, clients, 3)
				release := crowd[0].hold()
				r.publish(callTopic(0), "held")
				synctest.Wait()
				r.publish(callTopic(1), "x")
				r.publish(callTopic(2), "y")
				time.Sleep(test.busy)
				release()
				elapse(2*clients*time.Millisecond + time.Microsecond)
				want(t, crowd[clients-1].events(), "held x y")
				crowd[0].lines()
				r.publish(callTopic(0), "b")
				elapse(test.notYet)
				want(t, crowd[0].events(), "")
				elapse(test.by - test.notYet)
				want(t, crowd[0].events(), "b")
			})
		})
	}
}
