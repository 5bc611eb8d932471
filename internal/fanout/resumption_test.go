package fanout_test

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rte-server/rte-server/internal/fanout"
)

// attachment gives a socket that was lost its bytes back, as another socket would.
type attachment struct {
	s        *socket
	refusals *int
	room     int // bytes that the other socket takes; 0: no limit
}

func (a attachment) Attach() {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	a.s.err, a.s.lost, a.s.room = nil, time.Time{}, cmp.Or(a.room, -1)
}

func (a attachment) Refuse() { *a.refusals++ }

// resumable is an outbox with a subscription whose socket can be lost and replaced.
type resumable struct {
	*rig
	*fanout.Outbox
	s        *socket
	entry    *fanout.Entry
	id       string
	refusals int
}

func newResumable(r *rig, state bool) *resumable {
	c := &resumable{rig: r, s: newSocket()}
	c.Outbox = r.OpenResumable(c.s, fanout.ProtocolJSON)
	topic := callTopic(1)
	if state {
		topic = stateTopic(1)
	}
	entry, id := r.subscribe(c.Outbox, topic)
	c.entry, c.id = entry, id.String()
	synctest.Wait()
	return c
}

func (c *resumable) attach() {
	c.Attach(attachment{c.s, &c.refusals, 0})
	synctest.Wait()
}

// events publishes events with the given data.
func (c *resumable) events(t *testing.T, data ...string) {
	t.Helper()
	for _, d := range data {
		c.publish(c.entry.Topic(), d)
		synctest.Wait()
	}
}

// got returns the lines that the socket has received, without the subscription id.
func (c *resumable) got() string {
	return strings.ReplaceAll(strings.Join(c.s.lines(), ","), c.id+" 1 ", "")
}

func TestAttach_sendsWhatIsNotAcknowledged(t *testing.T) {
	for name, test := range map[string]struct {
		cut  func(t *testing.T, c *resumable)
		want string
	}{
		"after nothing": {func(*testing.T, *resumable) {}, "sequence 1,later"},
		"after events": {
			func(t *testing.T, c *resumable) { t.Helper(); c.events(t, "a", "b", "c"); c.s.lines() },
			"sequence 1,a,b,c,later",
		},
		"but nothing that is acknowledged": {
			func(t *testing.T, c *resumable) {
				t.Helper()
				c.events(t, "a", "b", "c")
				c.s.lines()
				c.Acknowledge(2)
			},
			"sequence 3,c,later",
		},
		"after an acknowledgement of what was never sent": {
			func(t *testing.T, c *resumable) {
				t.Helper()
				c.events(t, "a", "b")
				c.s.lines()
				c.Acknowledge(1)
				c.Acknowledge(3)
				c.Acknowledge(math.MaxUint64)
			},
			"sequence 2,b,later",
		},
		"after all is acknowledged": {
			func(t *testing.T, c *resumable) { t.Helper(); c.events(t, "a", "b"); c.s.lines(); c.Acknowledge(2) },
			"sequence 3,later",
		},
		"with frames of this outbox, without control frames": {
			func(_ *testing.T, c *resumable) {
				c.Send([]byte("pong\n"))
				c.Apply(fanout.Change{Frame: []byte("notice\n")})
				c.Apply(fanout.Change{Answer: fanout.NewAnswer([]byte("answer\n"), nil)})
				synctest.Wait()
				c.s.lines()
			}, "sequence 1,notice,answer,later",
		},
		// The outbox kept the memory of such a frame, which already served other writes.
		"with a large frame": {
			func(_ *testing.T, c *resumable) {
				c.Apply(fanout.Change{Frame: []byte(strings.Repeat("x", 100_000) + "\n")})
				synctest.Wait()
				c.s.lines()
			}, "sequence 1," + strings.Repeat("x", 100_000) + ",later",
		},
		"with a large frame that has waited": {
			func(t *testing.T, c *resumable) {
				t.Helper()
				c.s.freeze(0)
				c.events(t, "a")
				c.Apply(fanout.Change{Frame: []byte(strings.Repeat("x", 100_000) + "\n")})
				synctest.Wait()
				c.s.freeze(-1)
				synctest.Wait()
				c.s.lines()
			}, "sequence 1,a," + strings.Repeat("x", 100_000) + ",later",
		},
		"after a write that failed": {
			func(t *testing.T, c *resumable) { t.Helper(); c.s.fail(); c.events(t, "a") }, "sequence 1,a,later",
		},
		"after a partial write": {
			func(t *testing.T, c *resumable) { t.Helper(); c.s.freeze(20); c.events(t, "a", "b"); c.s.lines() },
			"sequence 1,a,b,later",
		},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
				c := newResumable(r, false)
				test.cut(t, c)
				c.Lost(0)
				synctest.Wait()
				c.attach()
				c.events(t, "later")
				want(t, c.got(), test.want)
				want(t, r.metric(t, "rte_fanout_dropped_total", "failed"), 0.0)
				want(t, r.metric(t, "rte_fanout_outboxes_detached", ""), 0.0)
				want(t, c.s.ends(), "[]")
				c.Close(nil, []*fanout.Entry{c.entry})
				synctest.Wait()
				want(t, r.metric(t, "rte_fanout_unacknowledged_bytes", ""), 0.0)
			})
		})
	}
}

func TestDetached_conflatesAndEnds(t *testing.T) {
	t.Run("conflates states that have no number yet", func(t *testing.T) {
		run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
			c := newResumable(r, true)
			c.events(t, "k,1", "k,2")
			c.Lost(0)
			c.events(t, "k,3", "k,4")
			c.s.lines()
			c.attach()
			want(t, c.got(), "sequence 1,k,1,k,2,k,4")
			want(t, r.metric(t, "rte_fanout_deliveries_total", ""), 3.0)
			want(t, r.metric(t, "rte_fanout_dropped_total", "conflated"), 1.0)
		})
	})
	t.Run("ends when the time is over, and counts what is lost", func(t *testing.T) {
		run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
			c := newResumable(r, false)
			c.s.fail()
			c.events(t, "a", "b")
			time.Sleep(resumeWindow - time.Second)
			want(t, c.s.ends(), "[]")
			time.Sleep(3 * time.Second)
			synctest.Wait()
			want(t, c.s.ends(), "[silent]")
			want(t, r.metric(t, "rte_fanout_dropped_total", "closed"), 2.0)
			want(t, r.metric(t, "rte_fanout_outboxes_full", ""), 0.0)
			want(t, r.metric(t, "rte_fanout_outbox_waiting_bytes", ""), 0.0)
			want(t, c.Resumable(), false)
			c.attach()
			want(t, c.refusals, 1)
		})
	})
	t.Run("ends at once when the session closes it", func(t *testing.T) {
		run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
			c := newResumable(r, false)
			c.Lost(0)
			synctest.Wait()
			c.Close([]byte("bye\n"), []*fanout.Entry{c.entry})
			synctest.Wait()
			want(t, c.s.ends(), "[closed]")
			want(t, c.got(), "")
			c.attach()
			want(t, c.refusals, 1)
			want(t, r.Topics(), 0)
		})
	})
	t.Run("ends as slow when too much waits", func(t *testing.T) {
		run(t, fanout.Options{Shards: 1, Outbox: fanout.OutboxOptions{Bytes: 1000}}, func(t *testing.T, r *rig) {
			c := newResumable(r, false)
			c.Lost(0)
			c.events(t, strings.Repeat("x", 500), strings.Repeat("x", 500))
			want(t, c.s.ends(), "[slow]")
		})
	})
}

func TestAttach_replacesAnOpenSocket(t *testing.T) {
	run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
		c := newResumable(r, false)
		c.s.freeze(0)
		c.events(t, "a", "b")
		c.attach()
		want(t, c.got(), "sequence 1,a,b")
		c.Lost(0) // reported late by the reader of the first socket
		c.events(t, "c")
		want(t, c.got(), "c")
		want(t, r.metric(t, "rte_fanout_outboxes_detached", ""), 0.0)
	})
}

// Of two sockets that come at once, the first is refused, and the second one stays. The command of the first used to
// take the socket away again.
func TestAttach_twoSocketsAtOnce(t *testing.T) {
	run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
		c := newResumable(r, false)
		c.events(t, "a")
		c.Lost(0)
		synctest.Wait()
		c.s.lines()
		c.Attach(attachment{c.s, &c.refusals, 0})
		c.attach()
		want(t, c.refusals, 1)
		want(t, c.got(), "sequence 1,a")
		want(t, r.metric(t, "rte_fanout_outboxes_detached", ""), 0.0)
		c.events(t, "b")
		want(t, c.got(), "b")
	})
}

func TestResume_boundsWhatIsNotAcknowledged(t *testing.T) {
	options := fanout.Options{Shards: 1, Resume: fanout.ResumeOptions{Bytes: 2000}}
	run(t, options, func(t *testing.T, r *rig) {
		c := newResumable(r, false)
		for range 50 {
			c.events(t, strings.Repeat("x", 100))
		}
		want(t, c.Resumable(), false)
		want(t, len(c.s.lines()), 50) // the connection goes on
		c.Acknowledge(50)
		want(t, c.Resumable(), true)
		c.events(t, "last")
		c.Lost(0)
		synctest.Wait()
		c.s.lines()
		c.attach()
		want(t, c.got(), "sequence 51,last")
		for range 50 {
			c.events(t, strings.Repeat("x", 100))
		}
		c.Lost(1)
		synctest.Wait()
		want(t, c.s.ends(), "[failed]")
	})
}

// receiver is a client with stateful reconnect: it drops what it has seen.
type receiver struct {
	next, seen uint64 // number of the next frame; the highest one processed
	ignores    bool   // until the Sequence comes
	lines      []string
}

func (c *receiver) read(lines []string) {
	for _, line := range lines {
		switch {
		case strings.HasPrefix(line, "sequence "):
			c.next, _ = strconv.ParseUint(line[len("sequence "):], 10, 64)
			c.ignores = false
		case c.ignores || line == "ping":
		case strings.HasPrefix(line, "pong "): // has no number
			c.lines = append(c.lines, line)
		default:
			if c.next > c.seen {
				c.seen = c.next
				c.lines = append(c.lines, line)
			}
			c.next++
		}
	}
}

// events returns the last words of the lines.
func (c *receiver) events() (words []string) {
	for _, line := range c.lines {
		words = append(words, line[strings.LastIndexByte(line, ' ')+1:])
	}
	return words
}

// The client sees every event once and in order, wherever the sockets are cut.
func TestAttach_model(t *testing.T) {
	for seed := range uint64(300) {
		run(t, fanout.Options{Shards: 1, Outbox: fanout.OutboxOptions{WriteBytes: 300}}, func(t *testing.T, r *rig) {
			random := rand.New(rand.NewPCG(seed, 0))
			c, client := newResumable(r, false), &receiver{next: 1}
			var sent []string
			sockets := uint64(0)
			for range 60 {
				switch random.IntN(8) {
				case 0, 1, 2:
					for range 1 + random.IntN(4) {
						sent = append(sent, fmt.Sprint(len(sent)))
						c.publish(c.entry.Topic(), sent[len(sent)-1])
					}
				case 3:
					c.s.freeze(random.IntN(200))
				case 4:
					c.s.freeze(-1)
				case 5: // bytes in flight are lost with the socket
					client.read(whole(c.s, random))
					client.ignores = true
					c.Lost(sockets)
					if random.IntN(2) == 0 {
						synctest.Wait()
						c.s.lines()
					}
					if random.IntN(2) == 0 {
						c.publish(c.entry.Topic(), fmt.Sprint(len(sent)))
						sent = append(sent, fmt.Sprint(len(sent)))
					}
					synctest.Wait()
					c.s.lines()
					c.attach()
					sockets++
				case 6:
					synctest.Wait()
					client.read(whole(c.s, nil))
				case 7:
					c.Acknowledge(client.seen)
				}
			}
			c.s.freeze(-1)
			synctest.Wait()
			client.read(whole(c.s, nil))
			if got := fmt.Sprint(client.events()); got != fmt.Sprint(sent) {
				t.Fatalf("seed %d: got %s, want %v", seed, got, sent)
			}
			if ends := c.s.ends(); ends != "[]" {
				t.Fatalf("seed %d: ended: %s", seed, ends)
			}
		})
	}
}

// whole takes the whole lines that the socket has received, or a random part of them.
func whole(s *socket, random *rand.Rand) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := s.received.String()
	n := strings.LastIndexByte(text, '\n') + 1
	lines := strings.SplitAfter(text[:n], "\n")
	lines = lines[:len(lines)-1]
	if random != nil {
		lines = lines[:random.IntN(len(lines)+1)]
	} else {
		s.received.Next(n)
	}
	for i := range lines {
		lines[i] = strings.TrimSuffix(lines[i], "\n")
	}
	return lines
}
