package transport_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/rte-server/rte-server/internal/events"
)

// items returns an argument of Subscribe: UserStatus of numbered entities that need not exist.
func items(from, to int) []subscription {
	var list []subscription
	for n := from; n < to; n++ {
		entity := events.ID{0x01, 14: byte(n >> 8), 15: byte(n)}
		list = append(list, subscription{entity.String(), "UserStatus"})
	}
	return list
}

// caller makes calls in a hub protocol and reads their answers.
type caller struct {
	*wire
	messagePack bool
}

// send makes a call and does not wait for its answer.
func (c *caller) send(id, target string, arguments ...any) {
	c.t.Helper()
	if arguments == nil {
		arguments = []any{}
	}
	if c.messagePack {
		body, err := msgpack.Marshal([]any{1, map[string]any{}, id, target, arguments, []any{}})
		if err != nil {
			c.t.Fatal(err)
		}
		c.binary(append(binary.AppendUvarint(nil, uint64(len(body))), body...))
		return
	}
	encoded, err := json.Marshal(arguments)
	if err != nil {
		c.t.Fatal(err)
	}
	c.text(
		`{"type":1,"invocationId":"` + id + `","target":"` + target + `","arguments":` + string(encoded) + `}` + separator,
	)
}

// expectAnswer reads a completion and checks it as checkAnswer does.
func (c *caller) expectAnswer(id string, elements int, property string) {
	c.t.Helper()
	if err := c.checkAnswer(id, elements, property); err != nil {
		c.t.Fatal(err)
	}
}

// checkAnswer reads a completion and checks its id and the number of its elements, without decoding all of them.
func (c *caller) checkAnswer(id string, elements int, property string) error {
	_, data, err := c.next()
	for err == nil && len(data) < 20 { // a ping
		_, data, err = c.next()
	}
	if err != nil {
		return fmt.Errorf("answer %s: %w", id, err)
	}
	start := []byte(`{"type":3,"invocationId":"` + id + `","result":[`)
	if c.messagePack {
		_, prefix := binary.Uvarint(data)
		data = data[prefix:]
		start = append([]byte{0x95, 3, 0x80, 0xa0 | byte(len(id))}, id...)
	}
	if !bytes.HasPrefix(data, start) || bytes.Count(data, []byte(property)) != elements {
		return fmt.Errorf("answer %s is %.200q with %d elements", id, data, bytes.Count(data, []byte(property)))
	}
	return nil
}

func (s *server) openCaller(protocol string) *caller {
	return &caller{s.open(protocol), protocol == "messagepack"}
}

// subscribe subscribes to so many topics, in batches that fit into a message.
func (c *caller) subscribe(topics int) {
	c.t.Helper()
	name := map[bool]string{true: "EntityId", false: "entityId"}[c.messagePack]
	for from := 0; from < topics; from += 250 {
		to := min(from+250, topics)
		c.send("s", "Subscribe", items(from, to))
		c.expectAnswer("s", to-from, name)
	}
}

// awaitCalls waits until the node makes no more answers, because it has made all or because the socket is full.
func (s *server) awaitCalls() {
	s.t.Helper()
	made, unchanged := 0.0, 0
	s.eventually("no more answers are made", func() bool {
		now := s.count("rte_hub_invocations_total", "method", "ActiveSubscriptions", "outcome", "ok")
		if unchanged++; now != made || now == 0 {
			made, unchanged = now, 0
		}
		return unchanged == 20
	})
}

// A client that requested much was closed as slow although it read at full speed: answers counted like events.
func TestAnswers_allArriveAtAClientThatRequestsMuch(t *testing.T) {
	for _, protocol := range []string{"json", "messagepack"} {
		for _, load := range []struct{ subscriptions, calls int }{{1000, 100}, {2000, 30}, {500, 50}} {
			t.Run(fmt.Sprintf("%s %d x %d", protocol, load.subscriptions, load.calls), func(t *testing.T) {
				s := startServer(t)
				c := s.openCaller(protocol)
				c.subscribe(load.subscriptions)
				for n := range load.calls {
					c.send(strconv.Itoa(n), "ActiveSubscriptions")
				}
				s.awaitCalls()
				property := map[bool]string{true: "RootEntityId", false: "rootEntityId"}[c.messagePack]
				for n := range load.calls {
					_ = c.SetDeadline(time.Now().Add(patience))
					c.expectAnswer(strconv.Itoa(n), load.subscriptions, property)
				}
				c.expectNothing()
				if n := s.count("rte_fanout_dropped_total", "reason", "slow"); n != 0 {
					t.Errorf("%v deliveries dropped", n)
				}
			})
		}
	}
}

// Connections of one user with 10,000 subscriptions each, which call ActiveSubscriptions and do not read, took 25 MB
// each.
func TestAnswers_memoryOfAUserIsBounded(t *testing.T) {
	const connections, subscriptions = 8, 10_000
	s := startServer(t, func(s *setup) { s.hub.Limits.Invocation = patience }) // a call waits for memory
	var callers []*caller
	for range connections {
		c := s.openCaller("json")
		c.subscribe(subscriptions)
		callers = append(callers, c)
	}
	before := heapBytes()
	for _, c := range callers {
		_ = c.SetDeadline(time.Now().Add(patience))
		for n := range 3 {
			c.send(strconv.Itoa(n), "ActiveSubscriptions")
		}
	}
	s.awaitCalls()
	// Two answers of 4 MB fit into the part of a user, and the kernel has taken some.
	if grown := heapBytes() - before; grown > 20<<20 {
		t.Errorf("the answers take %d MB, %d MB for each connection", grown>>20, grown>>20/connections)
	}
	var reading sync.WaitGroup
	for _, c := range callers { // all at once: the calls got their memory in any order
		reading.Go(func() {
			_ = c.SetDeadline(time.Now().Add(patience))
			for n := range 3 {
				if err := c.checkAnswer(strconv.Itoa(n), subscriptions, "rootEntityId"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	reading.Wait()
}

func heapBytes() int64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
