package peer

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/sequence"
	"github.com/rte-server/rte-server/internal/events"
)

const atOnce = 2 * jitter // with the ticks of Run

// TestNetwork_answers compares the answer to a query with the events behind the one that the node knows.
func TestNetwork_answers(t *testing.T) {
	for name, test := range map[string]struct {
		sizes    []int
		known    int // number of events that the asking node has
		knows    []bool
		complete bool
		parts    int
	}{
		"nothing is missing":           {[]int{1, 2}, 2, []bool{true, true}, true, 1},
		"the first node knows":         {[]int{1, 2, 3}, 1, []bool{true, true, true}, true, 1},
		"only the last node knows":     {[]int{1, 2, 0}, 1, []bool{false, false, true}, true, 1},
		"everything is missing":        {[]int{1, 2}, 0, []bool{true, false}, true, 1},
		"there were no events":         {nil, 0, []bool{true, false}, true, 1},
		"no node knows":                {[]int{1}, 1, []bool{false, false, false}, false, 0},
		"there is no other node":       {[]int{1}, 1, nil, false, 0},
		"events of several parts":      {[]int{partBytes / 2, partBytes / 2, 1, 2 * partBytes, 1}, 0, []bool{true}, true, 4},
		"one that is larger than all":  {[]int{3 * partBytes}, 0, []bool{true}, true, 1},
		"more than an answer may have": {make([]int, maxParts+1), 0, []bool{true}, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := newNetwork(t, 1+len(test.knows), 1)
				n := net.nodes[0]
				for i, knows := range test.knows {
					net.nodes[1+i].knows = knows
				}
				var known events.ID
				for i, size := range test.sizes {
					if len(test.sizes) > maxParts {
						size = partBytes
					}
					if id := net.send(size); i < test.known {
						known = id
					}
				}
				for generation := range uint64(3) { // the state of the last conversation must not matter
					clear(net.parts)
					answer, took := n.request(known, 10+generation)
					if answer.Complete != test.complete || took > atOnce {
						t.Fatalf("complete is %v after %v", answer.Complete, took)
					}
					if want := net.sent[test.known:]; test.complete && (len(answer.Events) != len(want) ||
						len(want) > 0 && !reflect.DeepEqual(answer.Events, want)) {
						t.Fatalf("got %d events, want %d", len(answer.Events), len(want))
					}
					parts := 0
					for _, sent := range net.parts {
						parts += sent
					}
					if parts != test.parts || len(net.parts) > 1 {
						t.Fatalf("%v parts were sent, want %d by one node", net.parts, test.parts)
					}
				}
			})
		})
	}
}

// TestNetwork_isRightInSpiteOfFaults loses messages at random. A node gets the right answer or none, and in time.
func TestNetwork_isRightInSpiteOfFaults(t *testing.T) {
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			net := newNetwork(t, 2+random.IntN(3), 1)
			for _, n := range net.nodes[1:] {
				n.knows = random.IntN(3) > 0
			}
			var mu sync.Mutex
			draw := func(below int) int {
				mu.Lock()
				defer mu.Unlock()
				return random.IntN(below)
			}
			faults, failures := 2+draw(10), 2+draw(10)
			net.lose = func(Message, *member) bool { return draw(faults) == 0 }
			net.fail = func(Message) bool { return draw(failures) == 0 }
			n := net.nodes[0]
			ids := []events.ID{{}}
			for range draw(6) {
				ids = append(ids, net.send(draw(1000)))
			}
			for generation := range uint64(5) {
				known := draw(len(ids))
				if pause := time.Duration(draw(60)) * time.Millisecond; pause < 30*time.Millisecond {
					time.AfterFunc(pause, n.missed)
				}
				answer, took := n.request(ids[known], generation)
				if took > (maxQueries+1)*patience {
					t.Fatalf("seed %d: an answer after %v", seed, took)
				}
				if want := net.sent[known:]; answer.Complete && (len(want) != len(answer.Events) ||
					len(want) > 0 && !reflect.DeepEqual(answer.Events, want)) {
					t.Fatalf("seed %d: got %d events, want %d", seed, len(answer.Events), len(want))
				}
			}
		})
	}
}

// TestNetwork_ignoresOtherMessages lets messages arrive that look like answers, announcements and queries, but are not
// about the query. They change nothing.
func TestNetwork_ignoresOtherMessages(t *testing.T) {
	for name, test := range map[string]struct {
		twice bool
		other func(n *member, query Query, send func(channel string, payload []byte))
	}{
		"each part twice": {true, func(*member, Query, func(string, []byte)) {}},
		"text": {false, func(n *member, _ Query, send func(string, []byte)) {
			for _, text := range []string{"", "\n", "?", "{}", "{}\n", "x\n", "null\n", "{}\n\xff\xff\xff\xff"} {
				send(n.channel, []byte(text))
				send("lane 0", []byte("?"+text))
			}
		}},
		"parts of other answers": {false, func(n *member, query Query, send func(string, []byte)) {
			forged := [][]byte{[]byte(query.Node + "forged")}
			for _, p := range []part{
				{Lane: "lane 0", Serial: query.Serial + 1, By: "other"},
				{Lane: "lane 0", Serial: query.Serial - 1, By: "other"},
				{Lane: "lane 1", Serial: query.Serial, By: "other"},
				{Lane: "lane 7", Serial: query.Serial, By: "other"},
				{Lane: "lane 0", Serial: query.Serial + 1, By: "other", Unknown: true},
				{Lane: "lane 1", Serial: query.Serial, By: "other", Unknown: true},
				{Lane: "lane 1", By: "other", Unknown: true},
			} {
				for range 5 {
					send(n.channel, encodeAnswer(p, forged)[0])
				}
			}
		}},
		"later parts first": {false, func(n *member, query Query, send func(string, []byte)) {
			parts := encodeAnswer(part{Lane: "lane 0", Serial: query.Serial, By: "other"}, [][]byte{
				make([]byte, partBytes), []byte(query.Node + "forged"),
			})
			send(n.channel, parts[1])
		}},
		"announcements about other queries": {false, func(n *member, query Query, send func(string, []byte)) {
			for _, q := range []Query{
				{Node: query.Node, Serial: query.Serial + 1, By: "other"},
				{Node: events.NewID().String(), Serial: query.Serial, By: "other"},
			} {
				send("lane 0", q.encode())
			}
			q := Query{Node: query.Node, Serial: query.Serial, By: "other"}
			send("lane 1", q.encode())
		}},
		"a query in the name of the node": {false, func(n *member, query Query, send func(string, []byte)) {
			q := Query{Node: query.Node, Serial: query.Serial + 1}
			n.arrive("lane 0", q.encode())
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := newNetwork(t, 4, 2)
				net.twice = test.twice
				net.nodes[2].knows, net.nodes[3].knows = true, true
				n := net.nodes[0]
				net.send(partBytes)
				net.send(1)
				time.AfterFunc(2*time.Millisecond, func() { // the answers wait for their time
					query := Query{Node: n.options.Node, Serial: 1}
					test.other(n, query, func(channel string, payload []byte) {
						for _, to := range net.nodes {
							if channel != to.channel && channel == n.channel {
								continue
							}
							to.arrive(channel, payload)
						}
					})
				})
				answer, took := n.request(events.ID{}, 7)
				if !answer.Complete || !reflect.DeepEqual(answer.Events, net.sent) || took > atOnce {
					t.Errorf("complete is %v after %v, with %d events", answer.Complete, took, len(answer.Events))
				}
			})
		})
	}
}

// Two nodes ask at once, with queries of the same number. An announcement concerns one of them.
func TestNetwork_answersTwoNodesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newNetwork(t, 4, 1)
		net.nodes[2].knows, net.nodes[3].knows = true, true
		net.send(1)
		for _, n := range net.nodes[:2] {
			n.began = time.Now()
			n.Query(n.lanes[0], sequence.Read{Peers: true, Since: backplane.StreamID{Milliseconds: 7}})
		}
		time.Sleep(time.Second)
		synctest.Wait()
		for i, n := range net.nodes[:2] {
			if len(n.answers) != 1 || !reflect.DeepEqual(n.answers[0].Events, net.sent) {
				t.Errorf("node %d got %+v", i, n.answers)
			}
		}
	})
}

// A query has no use before the channel for its answer is subscribed.
func TestNetwork_waitsForItsChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newNetwork(t, 2, 1)
		net.nodes[1].knows = true
		known := net.send(1)
		queries := 0
		net.lose = func(m Message, _ *member) bool {
			if m.Channel == "lane 0" && !bytes.Contains(m.Payload, []byte(`"by"`)) {
				queries++
			}
			return false
		}
		net.unconfirmed.Store(true)
		n := net.nodes[0]
		if answer, took := n.request(known, 1); answer.Complete || took < patience || took > patience+atOnce || queries > 0 {
			t.Errorf("complete is %v after %v, with %d queries", answer.Complete, took, queries)
		}
		time.AfterFunc(patience/2, func() { net.unconfirmed.Store(false) })
		if answer, took := n.request(known, 2); !answer.Complete || took < patience/2 || took > patience/2+atOnce {
			t.Errorf("complete is %v after %v", answer.Complete, took)
		}
	})
}

// The lane and the channel of the node are two connections. Events that were published before the query arrive before
// it, so the lane takes no answer earlier.
func TestNetwork_waitsForItsOwnQuery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newNetwork(t, 2, 1)
		net.nodes[1].knows = true
		known := net.send(1)
		net.send(1)
		n := net.nodes[0]
		late := 500 * time.Millisecond
		net.late = late
		time.AfterFunc(late/2, func() { // as if the other node were faster
			data := [][]byte{net.sent[1].Data}
			n.arrive(n.channel, encodeAnswer(part{Lane: "lane 0", Serial: 1, By: "fast", Last: true}, data)[0])
		})
		answer, took := n.request(known, 1)
		if !answer.Complete || !reflect.DeepEqual(answer.Events, net.sent[1:]) || took < late || took > late+atOnce {
			t.Errorf("complete is %v after %v, with %d events", answer.Complete, took, len(answer.Events))
		}
	})
}

// Two nodes answer at once. Each answer is complete, but parts of both are not.
func TestNetwork_takesThePartsOfOneNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newNetwork(t, 1, 1)
		n := net.nodes[0]
		for range 3 {
			net.send(partBytes)
		}
		net.late = time.Millisecond
		time.AfterFunc(time.Microsecond, func() {
			var data [][]byte
			for _, ev := range net.sent {
				data = append(data, ev.Data)
			}
			first := encodeAnswer(part{Lane: "lane 0", Serial: 1, By: "first"}, data)
			second := encodeAnswer(part{Lane: "lane 0", Serial: 1, By: "second"}, append([][]byte{data[2]}, data...))
			for i := range second {
				if i < len(first) {
					n.arrive(n.channel, first[i])
				}
				n.arrive(n.channel, second[i])
			}
		})
		net.nodes = append(net.nodes, &member{net: net, channel: "another node", inbox: make(chan func(), 10)})
		n.Query(n.lanes[0], sequence.Read{Peers: true, Since: backplane.StreamID{Milliseconds: 7}})
		time.Sleep(time.Second)
		synctest.Wait()
		if len(n.answers) != 1 || !reflect.DeepEqual(n.answers[0].Events, net.sent) {
			t.Errorf("got %d answers", len(n.answers))
		}
	})
}

// A query that cannot be published is published later, and does not count as one that had no answer.
func TestNetwork_publishesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newNetwork(t, 2, 1)
		net.nodes[1].knows = true
		known := net.send(1)
		var failures atomic.Int64
		net.fail = func(m Message) bool { return m.Channel == "lane 0" && failures.Add(1) <= 3*maxQueries }
		n := net.nodes[0]
		if answer, took := n.request(known, 1); !answer.Complete || took > patience/2 {
			t.Errorf("complete is %v after %v", answer.Complete, took)
		}
	})
}

// A node that is gone answers nothing. The others wait for it no longer than their patience.
func TestNetwork_waitsForSilentNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newNetwork(t, 3, 1)
		n := net.nodes[0]
		net.lose = func(_ Message, to *member) bool { return to == net.nodes[2] }
		if answer, took := n.request(net.send(1), 1); answer.Complete || took < patience || took > patience+atOnce {
			t.Errorf("complete is %v after %v", answer.Complete, took)
		}
	})
}

// A query of one lane has nothing to do with those of others, and a lane with too many queries gets no answers for the
// rest of a second.
func TestNetwork_answersEachLaneSixteenTimesASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newNetwork(t, 2, 2)
		asker, other := net.nodes[0], net.nodes[1]
		other.knows = true
		net.send(1)
		node := asker.options.Node
		request := func(lane string, queries int) int {
			clear(net.parts)
			for serial := range uint64(queries) {
				q := Query{Node: node, Serial: 1000 + serial, Since: "7-0"}
				other.inbox <- func() { other.onLane(lane, q.encode()) }
			}
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
			return net.parts[other.options.Node]
		}
		for _, step := range []struct {
			lane  string
			pause time.Duration
			want  int
		}{
			{"lane 0", 0, answersPerSecond},
			{"lane 0", 0, 0},
			{"lane 1", 0, answersPerSecond},
			{"lane 0", time.Second, answersPerSecond},
		} {
			time.Sleep(step.pause)
			if got := request(step.lane, answersPerSecond+5); got != step.want {
				t.Errorf("%s: %d answers, want %d", step.lane, got, step.want)
			}
		}
		time.Sleep(2 * time.Second)
		node = "no node"
		if got := request("lane 0", 1); got != 0 {
			t.Errorf("%d answers to a node without an id", got)
		}
	})
}
