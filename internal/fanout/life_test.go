package fanout_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
)

// life is a random life of a dispatcher and its clients, with a model of what each client must receive and of what the
// dispatcher must count.
type life struct {
	*rig
	t       *testing.T
	random  *rand.Rand
	clients []*lifeClient
	topics  []events.Topic
	sent    map[events.Topic][]lifeEvent
	began   time.Time
	pause   time.Duration // after which nothing moves any more
	shards  int
	quota   bool    // the number of deliveries is not predicted
	due     float64 // deliveries that were made, dropped, or are under way
}

type lifeEvent struct {
	data    string
	expires bool
}

// state returns the key of the state in a state event.
func (e lifeEvent) state() string {
	key, _, _ := strings.Cut(e.data, ",")
	return key
}

// lifeClient is a client of a life.
type lifeClient struct {
	receiver
	s         *socket
	outbox    *fanout.Outbox
	prefix    string // of the frames of its protocol
	resumable bool
	sockets   uint64
	refusals  int
	has       map[events.Topic]*lifeSubscription
	all       []*lifeSubscription
	control   []string // lines that are no events, in order
	calls     int
	answered  int
	pongs     []string
	slowed    bool // its socket was full, so that it may have ended as slow
	broken    bool // it lost a socket or its socket failed
	away      bool // it has no socket
	closed    bool
	replays   bool // a replay is under way
}

// lifeSubscription is a present or past subscription.
type lifeSubscription struct {
	fanout.Subscription
	from, to int               // of the events of the topic; to < 0: it goes on
	before   map[string]string // states that a replay owes, by key
}

// calm waits until nothing moves any more, also no ping, which would begin with a second.
func (l *life) calm() {
	l.Continue()
	time.Sleep(l.pause)
	if l.pause > 0 {
		time.Sleep(max(20*time.Millisecond-time.Since(l.began)%time.Second, 0))
	}
	synctest.Wait()
}

func (l *life) open() {
	protocol := fanout.Protocol(l.random.IntN(2))
	c := &lifeClient{
		receiver: receiver{next: 1}, s: newSocket(), has: map[events.Topic]*lifeSubscription{},
		prefix: []string{"", "m"}[protocol], resumable: l.random.IntN(3) == 0,
	}
	if l.random.IntN(4) == 0 {
		protocol, c.prefix = protocol.Deflated(), "d"+c.prefix
	}
	if l.pause > 0 && !l.quota {
		c.s.takes = time.Duration(l.random.IntN(2)) * time.Millisecond
	}
	if n := byte(l.random.IntN(3)); n > 0 {
		c.s.owner = fanout.Owner{User: events.ID{n}}
	}
	if c.resumable {
		c.outbox = l.OpenResumable(c.s, protocol)
	} else {
		c.outbox = l.Open(c.s, protocol)
	}
	l.clients = append(l.clients, c)
}

// publish publishes an event and counts the deliveries that follow.
func (l *life) publish(topic events.Topic) (due []*lifeClient) {
	e := lifeEvent{data: fmt.Sprintf("%d,%d", l.random.IntN(4), len(l.sent[topic]))}
	switch l.random.IntN(12) {
	case 0:
		e.data += strings.Repeat("z", 1+l.random.IntN(3000))
	case 1, 2:
		e.data += strings.Repeat("z", 1+l.random.IntN(200))
	}
	ev := events.Event{Topic: topic, ID: events.NewID(), Timestamp: time.Now(), Data: []byte(e.data)}
	if topic.Type == stateTopic(0).Type && l.random.IntN(4) == 0 {
		ev.Timestamp = time.Time{}
	} else if topic.Type == callTopic(0).Type && l.random.IntN(6) == 0 {
		ev.TTLSeconds, e.expires = 1+l.random.IntN(3), true
	}
	l.sent[topic] = append(l.sent[topic], e)
	for _, c := range l.clients {
		if c.has[topic] != nil && c.outbox.Takes() {
			l.due++
			due = append(due, c)
		}
	}
	l.Continue()
	l.Dispatch(&ev)
	return due
}

// subscribe subscribes a client to topics that it does not have, as a session does: with the answer to its call, and
// perhaps a replay of states.
func (l *life) subscribe(c *lifeClient, topics ...events.Topic) {
	c.calls++
	answer := fmt.Sprintf("answer %d%s", c.calls, strings.Repeat("w", l.random.IntN(30)*l.random.IntN(30)))
	change := fanout.Change{Answer: fanout.NewAnswer([]byte(answer+"\n"), func() { c.answered++ })}
	c.control = append(c.control, answer)
	var replayed []*lifeSubscription
	var entries []*fanout.Entry
	for _, topic := range topics {
		sub := &lifeSubscription{Subscription: c.outbox.Acquire(topic), from: len(l.sent[topic]), to: -1}
		change.Add = append(change.Add, sub.Subscription)
		c.has[topic] = sub
		c.all = append(c.all, sub)
		if topic.Type == stateTopic(0).Type {
			replayed = append(replayed, sub)
			entries = append(entries, sub.Entry)
		}
	}
	if len(entries) > 0 && !c.replays && l.random.IntN(3) > 0 {
		change.Replay = fanout.NewReplay(entries)
	}
	takes := c.outbox.Takes()
	c.outbox.Apply(change)
	l.calm()
	switch {
	case change.Replay == nil:
	case !takes:
		c.outbox.EndReplay(change.Replay)
	default:
		l.replay(c, change.Replay, replayed)
	}
}

// replay replays the states of topics, between other events and the ends of subscriptions.
func (l *life) replay(c *lifeClient, r *fanout.Replay, subs []*lifeSubscription) {
	var states []fanout.State
	for _, sub := range subs {
		topic := sub.Entry.Topic()
		if l.random.IntN(2) == 0 {
			l.publish(topic) // it precedes the states, which are older or the same
			l.calm()
		}
		sub.before = map[string]string{}
		for _, e := range l.sent[topic] {
			sub.before[e.state()] = e.data
		}
		for _, key := range slices.Sorted(maps.Keys(sub.before)) {
			states = append(states, fanout.State{Subscription: sub.Subscription, Event: &events.Event{
				Topic: topic, Data: []byte(sub.before[key]),
			}})
		}
	}
	for _, sub := range subs {
		if l.random.IntN(4) == 0 {
			l.unsubscribe(c, sub.Entry.Topic())
			sub.before = nil
		}
	}
	c.replays = true
	go func() {
		defer func() { c.replays = false }()
		_ = c.outbox.Replay(l.t.Context(), r, states)
		c.outbox.EndReplay(r)
	}()
}

func (l *life) unsubscribe(c *lifeClient, topic events.Topic) {
	sub := c.has[topic]
	sub.to = len(l.sent[topic])
	delete(c.has, topic)
	frame := fmt.Sprint("removed ", len(c.control))
	c.control = append(c.control, frame)
	c.outbox.Apply(fanout.Change{Frame: []byte(frame + "\n"), Remove: []*fanout.Entry{sub.Entry}})
}

// burst publishes several events while the shards are busy, so that outboxes collect them.
func (l *life) burst() {
	topic := events.Topic{Organization: events.ID{8}, Type: 1}
	var release []func()
	var blockers []*fanout.Outbox
	for range l.shards {
		s := newSocket()
		o := l.Open(s, fanout.ProtocolJSON)
		e, _ := l.rig.subscribe(o, topic)
		defer func() { o.Close(nil, []*fanout.Entry{e}) }()
		release = append(release, s.hold())
		blockers = append(blockers, o)
	}
	synctest.Wait()
	l.due += float64(len(blockers))
	l.rig.publish(topic, "blocks")
	synctest.Wait()
	before := map[*lifeClient]float64{}
	for range 2 + l.random.IntN(3) {
		due := l.publish(l.topics[l.random.IntN(len(l.topics))])
		for _, c := range due {
			before[c]++
		}
		if c := l.clients[l.random.IntN(len(l.clients))]; l.random.IntN(3) == 0 {
			l.notify(c)
			before[c]++ // this frame may end it before any event
		}
	}
	for _, release := range release {
		release()
	}
	l.calm()
	least := l.due
	for c, events := range before {
		if !c.outbox.Takes() {
			least -= events - 1 // it takes no more events after the one that ended it
		}
	}
	if underWay, ok := l.UnderWay(); ok && !l.quota {
		n := l.counted()
		if made := n["deliveries"] + n["dropped"] + float64(underWay) - n["replays sent"]; made < least || made > l.due {
			l.t.Fatalf("%v deliveries were made or dropped, want %v to %v", made, least, l.due)
		} else {
			l.due = made
		}
	}
}

// act lets one client do something.
func (l *life) act(c *lifeClient) {
	topic := l.topics[l.random.IntN(len(l.topics))]
	switch action := l.random.IntN(24); {
	case action < 5 && c.outbox.Answered():
		var topics []events.Topic
		for _, topic := range l.topics {
			if c.has[topic] == nil && l.random.IntN(2) == 0 {
				topics = append(topics, topic)
			}
		}
		l.subscribe(c, topics...)
	case action < 7 && c.has[topic] != nil:
		l.unsubscribe(c, topic)
	case action < 10 && !c.away:
		c.slowed = true
		c.s.freeze(l.random.IntN(120) << (l.random.IntN(2) * 5))
	case action < 14 && !c.away:
		c.s.freeze(-1)
	case action < 16:
		pong := fmt.Sprintf("pong %d%s", len(c.pongs), strings.Repeat("y", l.random.IntN(60)))
		if !c.away && c.outbox.Takes() && c.outbox.Send([]byte(pong+"\n")) {
			c.pongs = append(c.pongs, pong)
		}
	case action == 16:
		l.notify(c)
	case action == 17 && c.resumable && !c.away && !c.closed:
		l.cut(c)
	case action < 20 && c.away:
		c.s.lines()
		c.outbox.Attach(attachment{c.s, &c.refusals, l.random.IntN(2) * (1 + l.random.IntN(200))})
		c.sockets++
		c.away, c.slowed = false, true
	case action == 20:
		numbers := [...]uint64{c.seen, c.seen, c.seen / 2, c.seen + 1000} // nothing new, and what does not exist
		c.outbox.Acknowledge(numbers[l.random.IntN(len(numbers))])
	case action == 21 && l.random.IntN(5) == 0 && !c.away:
		c.read(whole(c.s, nil))
		c.broken, c.away, c.ignores = true, c.resumable, c.resumable
		c.s.fail()
	case action == 22 && l.random.IntN(3) == 0:
		l.close(c)
	case action == 23 && l.random.IntN(4) == 0:
		l.Continue()
		time.Sleep(time.Duration(l.random.IntN(20)) * time.Second)
	}
}

// notify sends a client a frame of its own.
func (l *life) notify(c *lifeClient) {
	notice := fmt.Sprintf("notice %d%s", len(c.control), strings.Repeat("x", l.random.IntN(50)<<(l.random.IntN(2)*6)))
	c.control = append(c.control, notice)
	c.outbox.Apply(fanout.Change{Frame: []byte(notice + "\n")})
}

// cut takes the socket of a client away, perhaps with bytes that the client has not read.
func (l *life) cut(c *lifeClient) {
	if l.random.IntN(2) == 0 {
		c.read(whole(c.s, nil))
	}
	c.broken, c.away, c.ignores = true, true, true
	c.outbox.Lost(c.sockets)
	l.calm()
	c.s.lines()
}

func (l *life) close(c *lifeClient) {
	if c.closed {
		return
	}
	c.closed = true
	var entries []*fanout.Entry
	for topic, sub := range c.has {
		sub.to = len(l.sent[topic])
		entries = append(entries, sub.Entry)
	}
	c.has = nil
	c.outbox.Close([]byte("bye\n"), entries)
	c.s.freeze(-1)
	l.calm()
	if ends := c.s.ends(); len(strings.Fields(ends)) != 1 || ends == "[]" {
		l.t.Fatalf("a closed outbox ended %s times", ends)
	}
	want(l.t, c.answered, c.calls)
	l.clients = slices.DeleteFunc(l.clients, func(other *lifeClient) bool { return other == c })
}

// lifeOptions returns other options for each seed.
func lifeOptions(seed uint64) fanout.Options {
	o := fanout.Options{
		Shards: 1 + int(seed%2),
		Outbox: fanout.OutboxOptions{
			WriteBytes: 300 + int(seed%5)*300,
			Bytes:      []int{1 << 20, 3000}[seed/2%2],
			TotalBytes: []int{0, 0, 60_000}[seed%3],
			Age:        []time.Duration{time.Hour, 10 * time.Second}[seed/3%2],
		},
		Resume: fanout.ResumeOptions{Bytes: []int{0, 2500}[seed/5%2], TotalBytes: []int{0, 30_000}[seed/7%2]},
		Deflate: func(f fanout.Frame) fanout.Frame {
			return fanout.Frame{Bytes: append([]byte("d"), f.Bytes...), IDOffset: f.IDOffset + 1}
		},
	}
	if seed%6 == 5 {
		o.Flow = fanout.FlowOptions{Backlog: 20, Rest: 20 * time.Millisecond}
		o.AlwaysShort()
	}
	if seed%8 == 7 {
		o.Flow.Quota = 1
	}
	return o
}

// FuzzDispatcher_keepsCount leads a dispatcher and its clients through a random life. After each step it recomputes
// everything that the dispatcher keeps count of, and compares what clients have received with a model.
func FuzzDispatcher_keepsCount(f *testing.F) {
	for seed := range uint64(24) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		run(t, lifeOptions(seed), func(t *testing.T, r *rig) {
			l := &life{
				rig: r, t: t, began: time.Now(), random: rand.New(rand.NewPCG(seed, 1)), sent: map[events.Topic][]lifeEvent{},
				topics: []events.Topic{
					callTopic(1), stateTopic(2), stateTopic(4), {Organization: events.ID{7}, Entity: events.ID{3}, Type: 1},
				},
				shards: lifeOptions(seed).Shards, quota: lifeOptions(seed).Flow.Quota > 0,
			}
			if seed%6 == 5 || l.quota {
				l.pause = 500 * time.Millisecond
			}
			for step := range 300 {
				if len(l.clients) < 6 {
					l.open()
				}
				switch l.random.IntN(9) {
				case 0, 1, 2:
					l.publish(l.topics[l.random.IntN(len(l.topics))])
				case 3:
					l.burst()
				default:
					l.act(l.clients[l.random.IntN(len(l.clients))])
				}
				if l.check(); step%8 == 0 {
					l.checkClients()
				}
			}
			l.checkClients()
			for len(l.clients) > 0 {
				l.close(l.clients[0])
				l.check()
			}
			want(t, l.Topics(), 0)
			want(t, l.Watches(), 0)
		})
	})
}
