package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	goredis "github.com/redis/go-redis/v9"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/backplane/backplanetest"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// counting is a client without notices that collects the calls of one user.
type counting struct {
	mu       sync.Mutex
	received []int // guarded by mu; the numbers of the calls
	ended    error // guarded by mu
}

// startCounting connects a client of an organization and subscribes it to the calls of a user.
func startCounting(t *testing.T, hubURL string, organization, user events.ID) *counting {
	t.Helper()
	token := rtetest.MustToken(t, authz.Claims{Organization: organization, Role: authz.RoleSupervisor})
	ws, _, err := websocket.Dial(t.Context(), hubURL+"?access_token="+token, nil)
	if err != nil {
		t.Fatal(err)
	}
	items, err := json.Marshal(subscribeTo(user.String(), "UserCallInArrived"))
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range []string{
		`{"protocol":"json","version":1}`,
		`{"type":1,"invocationId":"s","target":"Subscribe","arguments":[` + string(items) + `]}`,
	} {
		if err := ws.Write(t.Context(), websocket.MessageText, []byte(record+"\x1e")); err != nil {
			t.Fatal(err)
		}
	}
	c, subscribed, done := &counting{}, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		c.read(t.Context(), ws, sync.OnceFunc(func() { close(subscribed) }))
	}()
	t.Cleanup(func() {
		_ = ws.CloseNow()
		<-done
	})
	select {
	case <-subscribed:
	case <-time.After(rtetest.Patience):
		t.Fatal("no answer to Subscribe")
	}
	return c
}

// read reads until the connection ends.
func (c *counting) read(ctx context.Context, ws *websocket.Conn, subscribed func()) {
	for {
		_, data, err := ws.Read(ctx)
		c.mu.Lock()
		if err != nil {
			c.ended = err
			c.mu.Unlock()
			return
		}
		for record := range strings.SplitSeq(string(data), "\x1e") {
			if strings.HasPrefix(record, `{"type":3,`) {
				subscribed()
			}
			if _, rest, ok := strings.Cut(record, `"number":`); ok {
				var number int
				if _, err := fmt.Sscanf(rest, "%d", &number); err == nil {
					c.received = append(c.received, number)
				}
			}
		}
		c.mu.Unlock()
	}
}

// check reports whether the client has the numbers up to last, each once and in order. It fails the test if it has
// others, or if its connection has ended.
func (c *counting) check(t *testing.T, name string, last int) (all bool) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, number := range c.received {
		if number != i {
			t.Fatalf("%s: event %d came in the place of event %d", name, number, i)
		}
	}
	if c.ended != nil {
		t.Fatalf("%s: the connection ended after %d events: %v", name, len(c.received), c.ended)
	}
	return len(c.received) > last
}

// publishIn publishes a call in one of the tiers 0, 1 and 2.
func publishIn(ctx context.Context, client *goredis.Client, tier int, organization string, data []byte) error {
	l := lane(organization)
	journal := "rte:j:{" + l + "}"
	switch tier {
	case 0:
		return client.Publish(ctx, l, data).Err()
	case 1:
		_, err := client.TxPipelined(ctx, func(p goredis.Pipeliner) error {
			p.XAdd(ctx, &goredis.XAddArgs{Stream: journal, MaxLen: 5000, Approx: true, Values: []any{"d", data}})
			p.Publish(ctx, l, data)
			return nil
		})
		return err
	default:
		return client.FCall(ctx, "rte_publish", []string{journal, "rte:n:{" + l + "}"}, l, data, 5000, 0, "PUBLISH").Err()
	}
}

// A node closed clients without notices when one of its connections for events was cut for a few milliseconds. Redis
// closes each such connection of one of two nodes, one after the other, while events of all tiers come. The node gets
// the missed events from journals, and without a journal from the other node.
func TestCut_ofOneConnectionClosesNoClient(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	client := redis.Client()
	defer client.Close()
	subscribers := func() (ids map[string]bool) {
		t.Helper()
		list, err := client.Do(t.Context(), "CLIENT", "LIST", "TYPE", "pubsub").Text()
		if err != nil {
			t.Fatal(err)
		}
		ids = map[string]bool{}
		for line := range strings.Lines(list) {
			id, _, _ := strings.Cut(strings.TrimPrefix(line, "id="), " ")
			ids[id] = true
		}
		return ids
	}
	nodes := []*rtetest.Server{startServer(t, rtetest.Settings{"redis.addresses": redis.Addr})}
	others := subscribers()
	nodes = append(nodes, startServer(t, rtetest.Settings{"redis.addresses": redis.Addr}))
	mine := func() []string {
		ids := subscribers()
		maps.DeleteFunc(ids, func(id string, _ bool) bool { return others[id] })
		return slices.Sorted(maps.Keys(ids))
	}

	const tiers = 3
	user := events.NewID()
	var organizations [tiers]events.ID
	clients := map[string]*counting{}
	for tier := range organizations {
		organizations[tier] = events.NewID()
		for i, node := range nodes {
			clients[fmt.Sprintf("T%d at node %d", tier, i)] = startCounting(t, node.HubURL, organizations[tier], user)
		}
	}
	subscribed := time.Now()
	var publishing sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	defer publishing.Wait()
	defer stop()
	var published [tiers]int
	for tier, organization := range organizations {
		publishing.Go(func() {
			tick := time.NewTicker(2 * time.Millisecond)
			defer tick.Stop()
			for ; ctx.Err() == nil; published[tier]++ {
				<-tick.C
				event := backplanetest.NewEvent(events.Topic{
					Organization: organization, Entity: user, Type: events.UserCallInArrived,
				}, published[tier])
				if err := publishIn(t.Context(), client, tier, organization.String(), event.JSON()); err != nil {
					t.Errorf("publish in T%d: %v", tier, err)
					return
				}
			}
		})
	}
	ids := mine()
	if len(ids) < 8 {
		t.Fatalf("the node has %d subscribed connections", len(ids))
	}
	// The other node answers for the time since it was subscribed, less 1 s for clocks and 0.5 s per canary.
	nodes[1].WaitFor("the other node to know enough", func() bool {
		for name, c := range clients {
			c.check(t, name, 0)
		}
		return time.Since(subscribed) > 3*time.Second
	})
	for _, id := range ids {
		if err := client.Do(t.Context(), "CLIENT", "KILL", "ID", id).Err(); err != nil {
			t.Fatal(err)
		}
		nodes[1].WaitFor("another connection", func() bool { return len(mine()) == len(ids) })
		for name, c := range clients {
			c.check(t, name, 0)
		}
	}
	stop()
	publishing.Wait()
	for name, c := range clients {
		tier := int(name[1] - '0')
		nodes[1].WaitFor("all events: "+name, func() bool { return c.check(t, name, published[tier]-1) })
	}
	t.Logf("%d connections were closed, %v events were published", len(ids), published)
	for i, node := range nodes {
		if n := node.Metric("rte_hub_losses_total"); n != 0 {
			t.Errorf("node %d reports %v losses", i, n)
		}
	}
	if n := nodes[1].Metric("rte_backplane_peer_answers_total"); n == 0 {
		t.Error("the node asked the other for no event without a journal")
	}
}

// A cut of all connections over which nodes receive events loses the events without a journal. The nodes closed all
// clients without notices within 10 s. At the same time a drain sent others away, and more came back than
// admission.rate lets in. Now clients come back at that rate, and the nodes refuse none.
func TestCut_withADrainStaysBelowTheAdmissionRate(t *testing.T) {
	const rate, clients = 10, 120
	redis := rtetest.MustStartRedis(t)
	var nodes []*rtetest.Server
	for range 2 {
		nodes = append(nodes, startServer(t, rtetest.Settings{
			"redis.addresses": redis.Addr, "admission.rate": fmt.Sprint(rate), "admission.burst": "5",
			"resync.close_window": "12s",
			"shutdown.delay":      "2s", "shutdown.wait": "30s",
		}))
	}
	swarm := startSwarm(t, rtetest.MustStartHAProxy(t, "leastconn", nodes...).HubURL, clients, 2)
	closed := func() (n float64) {
		for _, node := range nodes {
			for _, reason := range []string{"resync", "drain"} {
				n += node.Metric("rte_hub_sessions_closed_total", `reason="`+reason+`"`)
			}
		}
		return n
	}
	began := time.Now()
	response, err := httpClient.Post(nodes[0].ConsoleURL+"/api/drain?over=4s", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode/100 != 2 {
		t.Fatalf("drain: %s", response.Status)
	}
	client := redis.Client()
	defer client.Close()
	if err := client.Do(t.Context(), "CLIENT", "KILL", "TYPE", "pubsub").Err(); err != nil {
		t.Fatal(err)
	}
	type sample struct {
		at     time.Duration
		closed float64
	}
	samples, waiting := []sample{{}}, 0.0
	nodes[1].WaitLong(2*rtetest.Patience, "all clients to be closed and to come back", func() bool {
		samples = append(samples, sample{time.Since(began), closed()})
		waiting = max(waiting, nodes[1].Metric("rte_transport_admission_waiting"))
		return samples[len(samples)-1].closed >= clients && nodes[1].Metric("rte_hub_resync_waiting") == 0 &&
			nodes[1].Metric("rte_hub_sessions_open") == clients
	})
	// A node hears by announcements that clients wait at the other one.
	const span, most = 3 * time.Second, 2 * 3 * rate
	for i, from := range samples {
		for _, to := range samples[i:] {
			if n := to.closed - from.closed; to.at-from.at <= span && n > most {
				t.Fatalf("%v clients were closed between %s and %s, want %d at most", n, from.at, to.at, most)
			}
		}
	}
	took := time.Since(began)
	if least := (clients - 5) * time.Second / rate; took < least {
		t.Errorf("all came back within %s, at %d per second they need %s", took, rate, least)
	}
	longest := time.Duration(0)
	for _, o := range swarm.take() {
		longest = max(longest, o.to.Sub(o.from))
	}
	t.Logf("%v connections were closed, all clients were back after %s, one was out for %s, %v waited at once",
		closed(), took, longest, waiting)
	for i, node := range nodes {
		if n := node.Metric("rte_transport_admission_wait_seconds_count", `outcome="refused"`); n != 0 {
			t.Errorf("node %d refused %v clients", i, n)
		}
	}
	if longest > 6*time.Second || waiting > rate || swarm.gaveUp > 0 {
		t.Errorf("a client was out for %s, %v waited at once, %d gave up", longest, waiting, swarm.gaveUp)
	}
	if _, missing := swarm.compare(); missing > 0 {
		t.Errorf("%d clients lack subscriptions", missing)
	}
}
