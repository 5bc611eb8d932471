package clients

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// cutter is a proxy in front of a node that cuts its connections.
type cutter struct {
	listener net.Listener
	node     atomic.Pointer[string] // its address
	halves   bool                   // some cuts are invisible for the node

	mu    sync.Mutex // guards open
	open  map[*cuttable]struct{}
	group sync.WaitGroup
}

// cuttable is a connection of a client through the proxy.
type cuttable struct {
	client, node *net.TCPConn
	received     atomic.Int64 // bytes, by the client
	halfOpen     atomic.Bool  // the client is gone, and the node does not notice
}

// established is the number of bytes behind which a client surely has its WebSocket and has begun to receive events. A
// client tries once to continue on another socket: a cut of that try is an ordinary reconnect.
const established = 4 << 10

// Write counts what the node sends.
func (c *cuttable) Write(p []byte) (int, error) {
	c.received.Add(int64(len(p)))
	if c.halfOpen.Load() {
		return len(p), nil
	}
	return c.client.Write(p)
}

// toNode passes on what the client sends.
type toNode struct{ *cuttable }

// Write drops the bytes if the client is gone for the node.
func (c toNode) Write(p []byte) (int, error) {
	if c.halfOpen.Load() {
		return len(p), nil
	}
	return c.node.Write(p)
}

func startCutter(t *testing.T, node string) *cutter {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{listener: listener, open: map[*cuttable]struct{}{}}
	c.node.Store(&node)
	c.group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			c.group.Go(func() { c.serve(conn.(*net.TCPConn)) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		c.cut(nil, 1, 0)
		c.group.Wait()
	})
	return c
}

// hubURL returns the URL of the hub behind the proxy.
func (c *cutter) hubURL() string { return "http://" + c.listener.Addr().String() + "/rte" }

// serve copies bytes both ways until one side ends.
func (c *cutter) serve(client *net.TCPConn) {
	defer client.Close()
	conn, err := net.Dial("tcp", *c.node.Load())
	if err != nil {
		return
	}
	node := conn.(*net.TCPConn)
	defer node.Close()
	pair := &cuttable{client: client, node: node}
	c.mu.Lock()
	c.open[pair] = struct{}{}
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.open, pair)
	}()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(toNode{pair}, client)
		if !pair.halfOpen.Load() {
			_ = node.Close()
		}
	}()
	_, _ = io.Copy(pair, node)
	_ = client.Close()
	<-done
}

// cut ends a part of the connections whose clients have received more than some bytes: with a reset or an end of the
// stream, first on either side. Without a source of randomness it ends all streams.
func (c *cutter) cut(random *rand.Rand, part float64, received int64) (cuts int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for pair := range c.open {
		if part < 1 && random.Float64() >= part || pair.halfOpen.Load() && received > 0 || pair.received.Load() < received {
			continue
		}
		client, node := pair.client, pair.node
		cuts++
		if c.halves && random != nil && random.IntN(4) == 0 && received > 0 {
			pair.halfOpen.Store(true)
			_ = client.Close()
			continue
		}
		if random == nil {
			_ = node.Close()
			continue
		}
		if random.IntN(2) == 0 {
			_ = client.SetLinger(0)
			_ = node.SetLinger(0)
		}
		if random.IntN(3) > 0 {
			_ = node.Close() // the copying goroutines then end the other side
		} else {
			_ = client.Close()
		}
	}
	return cuts
}

// freeze makes the network lose all bytes of the open connections, in both directions, and their ends.
func (c *cutter) freeze() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for pair := range c.open {
		pair.halfOpen.Store(true)
	}
}

// resumeReport is a line of node/resume.js.
type resumeReport struct {
	Subscribed      int
	Received, Calls []int
	Wrong           []string
	Noticed         int
	Outages         []int
	States, IDs     []string
}

// crowd is the number of connections of a test that cuts sockets, and how long it does so.
type crowd struct {
	each int // connections of each version of the client
	span time.Duration
}

// resumeVersions are the versions of the client that the tests use.
var resumeVersions = []string{"8", "9", "10"}

// resumeCrowd returns the crowd of a test. RTE_RESUME="500 10m" has 500 connections of all versions for ten minutes.
func resumeCrowd(t *testing.T) crowd {
	t.Helper()
	text := os.Getenv("RTE_RESUME")
	if text == "" {
		return crowd{10, 3 * time.Second}
	}
	size, length, _ := strings.Cut(text, " ")
	connections, err := strconv.Atoi(size)
	if err != nil {
		t.Fatal(err)
	}
	span, err := time.ParseDuration(length)
	if err != nil {
		t.Fatal(err)
	}
	return crowd{(connections + len(resumeVersions) - 1) / len(resumeVersions), span}
}

// tick returns the time between two rounds of events and cuts. A crowd of any size gets about 7,500 deliveries and 45
// cuts a second in all: the clients share one machine with the server, and a client that cannot keep up with its events
// ends as slow.
func (c crowd) tick() time.Duration { return time.Duration(c.each) * 2 * time.Millisecond }

// Sockets are cut at random under events and calls. With stateful reconnect, each client receives each event once and
// in order, each call is answered once, and the application notices nothing.
func TestStatefulReconnect_hidesCuts(t *testing.T) {
	crowd := resumeCrowd(t)
	size := crowd.each
	s := newStage(t)
	srv := s.startNode(t, nil)
	address, path, _ := strings.Cut(strings.TrimPrefix(srv.HubURL, "http://"), "/")
	proxy := startCutter(t, address)
	hub := "http://" + proxy.listener.Addr().String() + "/" + path
	agent := s.agent(t)
	var all []func() resumeReport
	for _, version := range resumeVersions {
		all = append(all, s.startResuming(t, version, hub, size, agent))
	}
	for i, report := range all {
		if r := report(); r.Subscribed != size {
			t.Fatalf("client %d: %+v", i, r)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	ctx, cancel := context.WithTimeout(t.Context(), crowd.span)
	defer cancel()
	published, cuts := 0, 0
	for tick := time.NewTicker(crowd.tick()); ctx.Err() == nil; <-tick.C {
		s.publishFrom(t, agent, published, 5, true)
		published += 5
		if random.IntN(10) == 0 {
			cuts += proxy.cut(random, 0.3, established)
		}
	}
	for i, report := range all {
		var r resumeReport
		srv.WaitLong(rtetest.Patience, "all events have come", func() bool {
			r = report()
			return len(r.Wrong) > 0 || r.Noticed > 0 || slices.Min(r.Received) >= published // a new connection has a gap
		})
		if len(r.Wrong) > 0 || r.Noticed > 0 {
			t.Errorf("client %d: %d events were published, %+v", i, published, r)
		}
	}
	resumed := srv.Metric("rte_fanout_resumptions_total", "outcome", "resumed")
	if cuts == 0 || resumed == 0 {
		t.Errorf("%d cuts, %v resumed", cuts, resumed)
	}
	t.Logf("%d connections, %d events, %d cuts, %v resumed, %v frames sent again", len(all)*size, published, cuts,
		resumed, srv.Metric("rte_fanout_sent_again_total"))
}

// startResuming starts a process of node/resume.js and returns a function that requests a report.
func (s *stage) startResuming(t *testing.T, version, hub string, size int, agent string) func() resumeReport {
	t.Helper()
	return s.startResumingTo(t, version, hub, size, agent, eventName)
}

// startResumingTo is startResuming for clients that subscribe to another event.
func (s *stage) startResumingTo(t *testing.T, version, hub string, size int, agent, event string) func() resumeReport {
	t.Helper()
	cmd := node("resume.js", version, hub, s.token, fmt.Sprint(size), agent, event)(t, s)
	lines := rtetest.MustStartLines(t, cmd)
	return func() (r resumeReport) {
		t.Helper()
		line := lines.Request()
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		return r
	}
}
