package clients

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// mode is a way to connect.
type mode struct {
	protocol        string
	skipNegotiation bool
	http2           bool   // on the port of the load balancer with HTTP/2
	transport       string // empty: WebSockets
}

func (m mode) String() string {
	how := "negotiated"
	if m.skipNegotiation {
		how = "without negotiation"
	}
	if m.http2 {
		how += " where HTTP2 is offered"
	}
	if m.transport != "" {
		how += " over " + m.transport
	}
	return m.protocol + ", " + how
}

// modes are all ways to connect.
var modes = []mode{
	{protocol: "json"},
	{protocol: "json", skipNegotiation: true},
	{protocol: "newtonsoft"},
	{protocol: "newtonsoft", skipNegotiation: true},
	{protocol: "messagepack"},
	{protocol: "messagepack", skipNegotiation: true},
	{protocol: "json", http2: true},
	{protocol: "messagepack", http2: true},
	{protocol: "json", transport: serverSentEvents},
	{protocol: "json", transport: longPolling},
	{protocol: "messagepack", transport: longPolling},
}

// The transports beside WebSockets.
const (
	serverSentEvents = "ServerSentEvents"
	longPolling      = "LongPolling"
)

// plays reports whether a client connects in a mode.
func (s *stage) plays(c *client, m mode) bool {
	return c.speaks(m.protocol) && (!m.http2 || c.http2 && s.http2URL != "") &&
		(m.transport == "" || s.fallbacks && slices.Contains(c.transports, m.transport))
}

// url returns the hub's URL for a mode.
func (s *stage) url(m mode) string {
	if m.http2 {
		return s.http2URL
	}
	return s.hubURL
}

// name returns the name of a property for a client: camel case in JSON, as published in MessagePack.
func (c *connection) name(published string) string {
	if c.protocol == "messagepack" {
		return published
	}
	return strings.ToLower(published[:1]) + published[1:]
}

// readsTimes reports whether the library can read a time, which has a type of its own in MessagePack.
func (c *connection) readsTimes() bool { return c.protocol != "messagepack" || !c.client.noTimes }

// item is an element of the list of Subscribe and Unsubscribe.
func item(entity, event string) map[string]string {
	return map[string]string{"EntityId": entity, "EventName": event}
}

// result is the result of Subscribe or Unsubscribe for an item. An empty message means success.
func (c *connection) result(message, entity, event string) map[string]any {
	answer := map[string]any{
		c.name("Subscribed"): message == "", c.name("Message"): nil,
		c.name("EntityId"): entity, c.name("EventName"): strings.ToLower(event),
	}
	if message != "" {
		answer[c.name("Message")] = message
	}
	return answer
}

// subscription is a subscription in ActiveSubscriptions and in MessageReceived.
func (c *connection) subscription(agent, id string) map[string]any {
	return map[string]any{
		c.name("Id"): id, c.name("AllRootEntities"): false, c.name("RootEntityId"): organization,
		c.name("RootEntityType"): "Organization", c.name("OrganizationId"): organization, c.name("EventType"): eventName,
		c.name("EntityType"): "User", c.name("EntityId"): agent, c.name("AllEntities"): false,
	}
}

// message is a MessageReceived as decoded by the library.
type message map[string]map[string]any

// play plays the script up to the restart of the server.
func (s *stage) play(t *testing.T, c *client, m mode) {
	t.Run("refuses a wrong token", func(t *testing.T) {
		_, err := c.open(options{s.url(m), "garbage", m.protocol, m.skipNegotiation, m.transport, false, false})
		want := c.refusedAtNegotiate
		if m.skipNegotiation {
			want = c.refusedAtUpgrade
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("connect with a wrong token: %v; want an error with %q", err, want)
		}
	})

	conn := c.mustOpen(t, options{s.url(m), s.token, m.protocol, m.skipNegotiation, m.transport, false, false})
	agent := s.agent(t)
	var id string
	t.Run("calls all methods", func(t *testing.T) { id = s.call(t, conn, agent) })
	t.Run("receives 1000 events in order", func(t *testing.T) { s.receive(t, conn, agent, id, 1000) })
	t.Run("unsubscribes", func(t *testing.T) {
		var results []map[string]any
		conn.mustInvoke(t, &results, "Unsubscribe", []any{item(agent, eventName), item(agent, eventName)})
		want := []map[string]any{conn.result("", agent, eventName), conn.result("Not subscribed", agent, eventName)}
		if diff := cmp.Diff(want, results); diff != "" {
			t.Errorf("Unsubscribe (-want +got):\n%s", diff)
		}
		var all bool
		conn.mustInvoke(t, &all, "UnsubscribeAll")
		var active []map[string]any
		conn.mustInvoke(t, &active, "ActiveSubscriptions")
		if !all || len(active) != 0 {
			t.Errorf("UnsubscribeAll answered %v, and ActiveSubscriptions %v", all, active)
		}
	})
	t.Run("disconnects", func(t *testing.T) {
		conn.close(t)
		l := conn.expect(t, "closed")
		if m.transport == longPolling && strings.Contains(l.Error, "Unexpected response code 404") {
			return // Java's client may begin one more poll after its DELETE
		}
		if l.Error != "" {
			t.Errorf("the connection ended with %q, want no error", l.Error)
		}
	})
}

// call calls the methods, and an unknown method. It returns the id of the subscription to the agent.
func (s *stage) call(t *testing.T, conn *connection, agent string) (id string) {
	var names []string
	conn.mustInvoke(t, &names, "AvailableSubscriptions")
	if len(names) != 31 || !slices.Contains(names, eventName) {
		t.Errorf("AvailableSubscriptions answered %v, want the names of 31 events", names)
	}
	var results []map[string]any
	conn.mustInvoke(t, &results, "Subscribe", []any{item(agent, eventName), item(stranger, eventName)})
	want := []map[string]any{conn.result("", agent, eventName), conn.result("Unauthorized", stranger, eventName)}
	if diff := cmp.Diff(want, results); diff != "" {
		t.Errorf("Subscribe (-want +got):\n%s", diff)
	}
	var active []map[string]any
	conn.mustInvoke(t, &active, "ActiveSubscriptions")
	if len(active) != 1 {
		t.Fatalf("ActiveSubscriptions answered %v, want one", active)
	}
	id, _ = active[0][conn.name("Id")].(string)
	if diff := cmp.Diff(conn.subscription(agent, id), active[0]); diff != "" || len(id) != 36 {
		t.Errorf("ActiveSubscriptions (-want +got):\n%s", diff)
	}
	const noSuch = "Failed to invoke 'NoSuch' due to an error on the server. HubException: Method does not exist."
	if answer, err := conn.invoke("NoSuch"); err == nil || !strings.Contains(err.Error(), noSuch) {
		t.Errorf("a method that does not exist: %s, %v; want the error %q", answer, err, noSuch)
	}
	return id
}

// receive publishes events of an agent and receives them.
func (s *stage) receive(t *testing.T, conn *connection, agent, id string, events int) {
	s.publish(t, conn, agent, events)
	var numbers, want []int
	for n := range events {
		m := conn.next(t)
		if diff := cmp.Diff(conn.subscription(agent, id), m[conn.name("Subscription")]); diff != "" {
			t.Fatalf("subscription of event %d (-want +got):\n%s", n, diff)
		}
		data := m[conn.name("Data")]
		number, _ := data[conn.name("Number")].(float64)
		if data[conn.name("EntityId")] != agent || data[conn.name("CallerNumber")] != "+123457890123" {
			t.Fatalf("event %d is %v", n, data)
		}
		if at, _ := data[conn.name("Timestamp")].(string); conn.readsTimes() && !strings.HasPrefix(at, eventTime) {
			t.Fatalf("event %d is of %q, want %s", n, at, eventTime)
		}
		numbers, want = append(numbers, int(number)), append(want, n)
	}
	if conn.client.unordered {
		slices.Sort(numbers)
	}
	if diff := cmp.Diff(want, numbers); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// restartedConnection is a connection that is open when the server restarts.
type restartedConnection struct {
	*connection
	options options
	agent   string
	nodes   int // of the server
}

// beforeRestart opens the connections for the restart: with each protocol one that the user of the library opens again,
// and one that the library opens again automatically, if it can.
func (s *stage) beforeRestart(t *testing.T, c *client, nodes int) []*restartedConnection {
	var all []*restartedConnection
	ways := []mode{}
	for _, protocol := range c.protocols {
		ways = append(ways, mode{protocol: protocol})
	}
	for _, transport := range c.transports {
		if m := (mode{protocol: "json", transport: transport}); s.plays(c, m) {
			ways = append(ways, m)
		}
	}
	for _, way := range ways {
		reconnects := []bool{false}
		if c.reconnect >= reconnectAgain || c.reconnect == reconnectOnce && nodes > 1 {
			reconnects = append(reconnects, true)
		}
		for _, reconnect := range reconnects {
			o := options{s.hubURL, s.token, way.protocol, false, way.transport, reconnect, false}
			l := &restartedConnection{c.mustOpen(t, o), o, s.agent(t), nodes}
			s.expectEvents(t, l)
			all = append(all, l)
		}
	}
	return all
}

// expectEvents subscribes and checks that an event arrives.
func (s *stage) expectEvents(t *testing.T, l *restartedConnection) {
	t.Helper()
	var results []map[string]any
	l.mustInvoke(t, &results, "Subscribe", []any{item(l.agent, eventName)})
	if diff := cmp.Diff([]map[string]any{l.result("", l.agent, eventName)}, results); diff != "" {
		t.Fatalf("Subscribe (-want +got):\n%s", diff)
	}
	s.publish(t, l.connection, l.agent, 1)
	l.next(t)
}

// comeBack checks the events of a connection after its server stopped, opens it again if the library does not, and
// checks that it receives events again. Several nodes of the connection may have stopped.
func (s *stage) comeBack(t *testing.T, l *restartedConnection) {
	if !l.options.reconnect {
		if got := l.expect(t, "closed"); !l.mayEndWith(got.Error) {
			t.Errorf("the connection ended with %q, want no error: the server only wants it to come again", got.Error)
		}
		l.connection = l.client.mustOpen(t, l.options)
	} else {
		l.expectReconnected(t)
	}
	s.expectEvents(t, l)
}

// mayEndWith reports whether the library may report an error when the server of the connection stops. If a node that
// only passes its requests on stops, there is no Close message.
func (l *restartedConnection) mayEndWith(text string) bool {
	switch {
	case text == "" || l.options.transport != "" && l.nodes > 1:
		return true
	default:
		return l.options.transport == serverSentEvents && text == l.client.endOfStream
	}
}

// expectReconnected waits until the library reconnected once for each node that stopped.
func (l *restartedConnection) expectReconnected(t *testing.T) {
	t.Helper()
	for again := true; again; again = len(l.events) > 0 {
		if l.client.reconnect == reconnectReported {
			if got := l.expect(t, "reconnecting"); !l.mayEndWith(got.Error) {
				t.Errorf("the connection was lost with %q, want no error", got.Error)
			}
		}
		l.expect(t, "reconnected")
	}
}

func (l *restartedConnection) String() string {
	name := l.protocol
	if l.options.transport != "" {
		name += " over " + l.options.transport
	}
	if l.options.reconnect {
		name += ", by itself"
	}
	return name
}
