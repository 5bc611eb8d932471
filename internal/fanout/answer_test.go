package fanout_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/rte-server/rte-server/internal/fanout"
)

// calling is an outbox whose client calls: each answer counts when it is reported as written.
type calling struct {
	*fanout.Outbox
	written int
}

func (c *calling) answer(frame string) {
	var bytes []byte
	if frame != "" {
		bytes = []byte(frame)
	}
	c.Apply(fanout.Change{Answer: fanout.NewAnswer(bytes, func() { c.written++ })})
}

// expectWaiting checks whether AwaitAnswer waits, and how many answers were written.
func (c *calling) expectWaiting(t *testing.T, waits bool, written int) {
	t.Helper()
	synctest.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.AwaitAnswer(ctx); errors.Is(err, context.Canceled) != waits || !waits && err != nil {
		t.Errorf("AwaitAnswer returned %v, want it to wait: %v", err, waits)
	}
	want(t, c.written, written)
}

func TestAwaitAnswer_waitsUntilTheSocketHasTakenIt(t *testing.T) {
	for name, frame := range map[string]string{"small": "answer\n", "large": strings.Repeat("y", 3<<20) + "\n"} {
		t.Run(name, func(t *testing.T) {
			run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
				s, o, _, _ := r.full(callTopic(1), "fills the socket")
				c := &calling{Outbox: o}
				c.expectWaiting(t, false, 0)
				c.answer(frame)
				c.expectWaiting(t, true, 0)
				s.freeze(-1)
				c.expectWaiting(t, false, 1)
				s.lines()

				s.freeze(3) // in the middle of the answer
				c.answer(frame)
				c.expectWaiting(t, true, 1)
				r.publish(callTopic(1), "behind it")
				c.Send([]byte("pong\n"))
				c.expectWaiting(t, true, 1)
				s.freeze(len(frame) - 3)
				c.expectWaiting(t, false, 2)
				s.freeze(-1)
				synctest.Wait()
				want(t, len(s.lines()), 3)

				c.answer(frame)
				c.expectWaiting(t, false, 3)
				c.answer("") // the call wants no answer
				c.expectWaiting(t, false, 4)
				want(t, r.metric(t, "rte_fanout_outbox_waiting_bytes", ""), 0.0)
			})
		})
	}
}

// A caller that waits for an answer goes on when the outbox ends, however that happens.
func TestAwaitAnswer_returnsWhenTheOutboxEnds(t *testing.T) {
	for name, end := range map[string]func(*socket, *fanout.Outbox){
		"closed": func(_ *socket, o *fanout.Outbox) { o.Close(nil, nil) },
		"failed": func(s *socket, _ *fanout.Outbox) { s.fail() },
		"slow": func(_ *socket, o *fanout.Outbox) {
			for range 3 {
				o.Apply(fanout.Change{Frame: []byte(strings.Repeat("y", 2<<20))})
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
				s, o, _, _ := r.full(callTopic(1), "fills the socket")
				c := &calling{Outbox: o}
				c.answer("answer\n")
				c.expectWaiting(t, true, 0)
				end(s, o)
				c.expectWaiting(t, false, 1)
				s.freeze(-1)
				synctest.Wait()
				c.answer("too late\n")
				c.expectWaiting(t, false, 2)
			})
		})
	}
}

// The frame of an answer that the lost socket had not taken follows on the next one, and the caller goes on.
func TestAwaitAnswer_returnsOnTheNextSocket(t *testing.T) {
	run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
		o := newResumable(r, false)
		c := &calling{Outbox: o.Outbox}
		o.s.fail()
		c.answer("answer\n")
		c.expectWaiting(t, true, 0)
		o.attach()
		c.expectWaiting(t, false, 1)
		want(t, o.got(), "sequence 1,answer")
	})
}

func TestAwaitAnswer_returnsWhenTheDispatcherStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := mustNew(t, fanout.Options{Shards: 1, JSON: lineEncoder{}})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- d.Run(ctx) }()
		s := newSocket()
		s.freeze(0)
		c := &calling{Outbox: d.Open(s, fanout.ProtocolJSON)}
		c.answer("answer\n")
		c.expectWaiting(t, true, 0)
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		want(t, c.AwaitAnswer(t.Context()), nil)
		c.answer("answer\n")
		want(t, c.written, 2)
	})
}

// Answers counted like events, so a client that asked for much was slow although it read at full speed.
func TestSlowReader_isNotSlowBecauseOfAnswers(t *testing.T) {
	run(t, fanout.Options{
		Shards: 1, Outbox: fanout.OutboxOptions{Bytes: 10_000, WriteBytes: 1000},
	}, func(t *testing.T, r *rig) {
		s, o, _, _ := r.full(callTopic(1), "fills the socket")
		c := &calling{Outbox: o}
		for n, size := range []int{500, 900, 1000, 5_000, 50_000} {
			c.answer(strings.Repeat("y", size) + "\n")
			for range 20 {
				r.publish(callTopic(1), strings.Repeat("x", 100))
			}
			c.expectWaiting(t, true, n)
			want(t, s.ends(), "[]")
			s.freeze(-1)
			c.expectWaiting(t, false, n+1)
			s.freeze(0)
			r.publish(callTopic(1), "fills the socket")
			synctest.Wait()
		}
		s.freeze(-1)
		synctest.Wait()
		want(t, s.ends(), "[]")
	})
}
