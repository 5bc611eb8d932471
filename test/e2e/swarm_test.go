package e2e

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// outage is the time that a client was without its subscriptions.
type outage struct {
	organization int
	from, to     time.Time
}

// swarm is many clients that connect again at once, with growing pauses, and subscribe to the same items each time. An
// answer of Subscribe that grants less than all is not tried again: only the server can make the client do so.
type swarm struct {
	t       *testing.T
	url     string
	items   string // the argument of Subscribe
	count   int    // of items
	http    *http.Client
	clients []*swarmClient
	running sync.WaitGroup

	mu      sync.Mutex
	outages []outage // guarded by mu
	gaveUp  int      // guarded by mu: clients that the server sent away for good
}

// swarmClient is one client.
type swarmClient struct {
	swarm        *swarm
	organization int
	token        string
	active       atomic.Int64 // subscriptions in the last answer of ActiveSubscriptions; -1: none yet

	mu sync.Mutex
	ws *websocket.Conn // guarded by mu; nil: not connected
}

// organizationsOf are the sizes of the organizations of a swarm, in percent.
var organizationsOf = []int{60, 30, 10}

// subscribeItems returns the argument of Subscribe for a number of entities with two events each.
func subscribeItems(entities int) (items []entitySubscription) {
	for i := range entities {
		for _, event := range []string{"UserStatus", "UserCallInArrived"} {
			items = append(items, entitySubscription{events.ID{7, byte(i), byte(i >> 8)}.String(), event})
		}
	}
	return items
}

// startSwarm starts clients and waits until all are subscribed. The end of the test ends them.
func startSwarm(t *testing.T, url string, number, entities int) *swarm {
	t.Helper()
	items := subscribeItems(entities)
	argument, err := json.Marshal(items)
	if err != nil {
		t.Fatal(err)
	}
	s := &swarm{
		t: t, url: url, items: string(argument), count: len(items),
		http: &http.Client{Transport: &http.Transport{
			DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		}},
	}
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(func() {
		stop()
		s.running.Wait()
	})
	organization := 0
	next := number * organizationsOf[0] / 100
	id := events.NewID()
	for i := range number {
		if i >= next && organization < len(organizationsOf)-1 {
			organization++
			next += number * organizationsOf[organization] / 100
			id = events.NewID()
		}
		c := &swarmClient{swarm: s, organization: organization, token: rtetest.MustToken(t, authz.Claims{
			Organization: id, Role: authz.RoleSupervisor,
		})}
		s.clients = append(s.clients, c)
		s.running.Go(func() { c.run(ctx) })
	}
	s.running.Go(func() { s.ping(ctx) })
	deadline := time.Now().Add(4 * rtetest.Patience)
	for connected, missing := s.compare(); connected < number || missing > 0; connected, missing = s.compare() {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d clients are connected, %d without subscriptions", connected, number, missing)
		}
	}
	return s
}

// run connects again and again until ctx ends.
func (c *swarmClient) run(ctx context.Context) {
	var down time.Time
	for pause := time.Duration(0); ctx.Err() == nil; pause = min(2*pause+100*time.Millisecond, 2*time.Second) {
		select {
		case <-time.After(rand.N(pause + 1)):
		case <-ctx.Done():
			return
		}
		if ended, final := c.once(ctx, down); !ended.IsZero() {
			down, pause = ended, 0
			if final {
				c.swarm.mu.Lock()
				c.swarm.gaveUp++
				c.swarm.mu.Unlock()
				return
			}
		}
	}
}

// once connects, subscribes and reads until the end of the connection, whose time it returns: zero if it could not
// connect or subscribe. final reports whether the server forbade another connection.
func (c *swarmClient) once(ctx context.Context, down time.Time) (ended time.Time, final bool) {
	s := c.swarm
	opening, cancel := context.WithTimeout(ctx, rtetest.Patience)
	defer cancel()
	ws, _, err := websocket.Dial(opening, s.url+"?access_token="+c.token, &websocket.DialOptions{HTTPClient: s.http})
	if err != nil {
		return ended, false
	}
	defer func() { _ = ws.CloseNow() }()
	ws.SetReadLimit(8 << 20)
	hello := `{"protocol":"json","version":1}` + "\x1e" +
		`{"type":1,"invocationId":"s","target":"Subscribe","arguments":[` + s.items + `]}` + "\x1e"
	for record := range strings.SplitAfterSeq(strings.TrimSuffix(hello, "\x1e"), "\x1e") {
		if ws.Write(opening, websocket.MessageText, []byte(strings.TrimSuffix(record, "\x1e")+"\x1e")) != nil {
			return ended, false
		}
	}
	subscribed := false
	for {
		_, data, err := ws.Read(ctx)
		if err != nil {
			break
		}
		for record := range strings.SplitSeq(string(data), "\x1e") {
			switch {
			case strings.HasPrefix(record, `{"type":3,"invocationId":"s"`):
				subscribed = true
				c.set(ws)
				s.add(c.organization, down)
			case strings.HasPrefix(record, `{"type":3,"invocationId":"a"`):
				c.active.Store(int64(strings.Count(record, `"eventType"`)))
			case strings.HasPrefix(record, `{"type":7`):
				final = final || !strings.Contains(record, `"allowReconnect":true`)
			}
		}
	}
	c.set(nil)
	if !subscribed || ctx.Err() != nil {
		return ended, false
	}
	return time.Now(), final
}

func (c *swarmClient) set(ws *websocket.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ws = ws
	c.active.Store(-1)
}

// send sends a record if the client is connected.
func (c *swarmClient) send(ctx context.Context, record string) (connected bool) {
	c.mu.Lock()
	ws := c.ws
	c.mu.Unlock()
	return ws != nil && ws.Write(ctx, websocket.MessageText, []byte(record+"\x1e")) == nil
}

// add records an outage.
func (s *swarm) add(organization int, down time.Time) {
	if down.IsZero() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outages = append(s.outages, outage{organization, down, time.Now()})
}

// take returns the outages since the last call.
func (s *swarm) take() []outage {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.outages
	s.outages = nil
	return all
}

// ping keeps the connections alive.
func (s *swarm) ping(ctx context.Context) {
	ticker := time.NewTicker(10 * time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for _, c := range s.clients {
			c.send(ctx, `{"type":6}`)
		}
	}
}

// compare asks each client for its subscriptions. It returns how many answered, and how many of them lack some.
func (s *swarm) compare() (connected, missing int) {
	ctx, cancel := context.WithTimeout(context.Background(), rtetest.Patience)
	defer cancel()
	for _, c := range s.clients {
		c.active.Store(-1)
		c.send(ctx, `{"type":1,"invocationId":"a","target":"ActiveSubscriptions","arguments":[]}`)
	}
	deadline := time.Now().Add(3 * time.Second) // the caller asks again
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		<-tick.C
		connected, missing = 0, 0
		for _, c := range s.clients {
			if n := c.active.Load(); n >= 0 {
				connected++
				if int(n) < s.count {
					missing++
				}
			}
		}
		if connected == len(s.clients) || time.Now().After(deadline) {
			return connected, missing
		}
	}
}

// checkEven checks that the clients of each organization went evenly over the time of a drain: no window has more than
// twice the even part of them, and a few for the smallest numbers.
func checkEven(t *testing.T, what string, outages []outage, drain, window time.Duration) {
	t.Helper()
	check := func(name string, of func(outage) bool) {
		var at []time.Time
		for _, o := range outages {
			if of(o) {
				at = append(at, o.to)
			}
		}
		most := 0
		for _, from := range at {
			n := 0
			for _, other := range at {
				if d := other.Sub(from); d >= 0 && d < window {
					n++
				}
			}
			most = max(most, n)
		}
		even := float64(len(at)) * float64(window) / float64(drain)
		t.Logf("%s, %s: %d clients, at most %d in %s, evenly %.1f", what, name, len(at), most, window, even)
		if float64(most) > 2*even+2 {
			t.Errorf("%s, %s: %d clients reconnected within %s, evenly it would be %.1f", what, name, most, window, even)
		}
	}
	check("all", func(outage) bool { return true })
	for i := range organizationsOf {
		check(fmt.Sprint("organization ", i), func(o outage) bool { return o.organization == i })
	}
}
