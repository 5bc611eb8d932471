package load_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/rte-server/rte-server/bench/event"
	"github.com/rte-server/rte-server/bench/load"
)

// plain is a dialect with an upgrade only: the server greets and sends all events to all clients.
type plain struct{}

func (plain) Upgrade(load.Identity) []byte { return []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n") }
func (plain) Hello(load.Identity) []byte   { return nil }
func (plain) Subscribe([]uint32) []byte    { return nil }
func (plain) Batch() int                   { return 10 }
func (plain) Separator() byte              { return ';' }
func (plain) Pong() []byte                 { return nil }
func (plain) KeepAlive() []byte            { return nil }

func (plain) Classify(record []byte) load.Record {
	if string(record) == "welcome" {
		return load.Record{Kind: load.Welcome}
	}
	return load.Record{}
}

// mark returns an event of the only topic.
func mark(number uint32) []byte {
	var text [event.MarkLen]byte
	event.Mark{Number: number}.Put(text[:])
	return text[:]
}

// textFrame returns a frame of a server.
func textFrame(final bool, opcode byte, payload string) []byte {
	first := opcode
	if final {
		first |= 0x80
	}
	return append([]byte{first, byte(len(payload))}, payload...)
}

// serve upgrades and greets each connection and writes the same bytes to it, one byte at a time.
func serve(t *testing.T, status int, bytes []byte) netip.AddrPort {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
					return
				}
				_, _ = fmt.Fprintf(conn, "HTTP/1.1 %d X\r\n\r\n", status)
				for _, b := range append(textFrame(true, 1, "welcome"), bytes...) {
					_, _ = conn.Write([]byte{b})
				}
				_, _ = io.Copy(io.Discard, conn)
			}()
		}
	}()
	return netip.MustParseAddrPort(listener.Addr().String())
}

func start(t *testing.T, server netip.AddrPort) *load.Client {
	t.Helper()
	client, err := load.New(load.Options{Server: server, Dialect: plain{}, Clock: load.NewClock()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- client.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return client
}

// awaitDelivered waits until a group has had a number of deliveries.
func awaitDelivered(t *testing.T, g *load.Group, want uint64) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); g.Delivered() < want; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d deliveries, want %d", g.Delivered(), want)
		}
	}
}

func TestClient_countsFaults(t *testing.T) {
	one, two, four := string(mark(1)), string(mark(2)), string(mark(4))
	var stream []byte
	stream = append(stream, textFrame(true, 1, two+";"+one)...)  // two records in a message, out of order
	stream = append(stream, textFrame(true, 9, "ping")...)       // between them
	stream = append(stream, textFrame(false, 1, four[:10])...)   // a message in three fragments
	stream = append(stream, textFrame(false, 0, four[10:20])...) //
	stream = append(stream, textFrame(true, 0, four[20:])...)    //
	stream = append(stream, textFrame(true, 1, two)...)          // a repetition
	stream = append(stream, textFrame(true, 1, "no mark")...)    // something else
	client := start(t, serve(t, http.StatusSwitchingProtocols, stream))

	const connections = 20
	group := &load.Group{Name: "all", Connections: connections, Span: 1, Count: 1}
	outcome, err := client.Connect(t.Context(), group, 1, 5)
	if err != nil || outcome.Ready != connections || outcome.Failed != 0 {
		t.Fatalf("%+v, %v", outcome, err)
	}
	awaitDelivered(t, group, 4*connections)
	a, err := client.Account(t.Context(), group, func(uint32) uint32 { return 5 })
	if err != nil {
		t.Fatal(err)
	}
	// Numbers 3 and 5 are missing.
	got := []uint64{uint64(a.Open), a.Late, a.Duplicates, a.Missing, a.Foreign}
	if want := []uint64{connections, connections, connections, 2 * connections, 0}; !slices.Equal(got, want) {
		t.Errorf("open, late, duplicates, missing, foreign: %d, want %d", got, want)
	}
}

func TestConnect_reportsRefusals(t *testing.T) {
	client := start(t, serve(t, http.StatusUnauthorized, nil))
	group := &load.Group{Connections: 7, Span: 1, Count: 1}
	outcome, err := client.Connect(t.Context(), group, 1, 3)
	if err != nil {
		t.Fatal(err)
	}
	if outcome.Ready != 0 || outcome.Failed != 7 || outcome.Err == nil {
		t.Errorf("%+v", outcome)
	}
}

func TestClient_countsClosedConnections(t *testing.T) {
	stream := append(textFrame(true, 1, string(mark(1))), textFrame(true, 8, "\x03\xe8")...)
	client := start(t, serve(t, http.StatusSwitchingProtocols, stream))
	group := &load.Group{Connections: 3, Span: 1, Count: 1}
	if _, err := client.Connect(t.Context(), group, 1, 3); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); group.Closed() < 3; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d closed, want 3", group.Closed())
		}
	}
}

func TestFreeze_stopsReading(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	accepted := make(chan net.Conn, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		_, _ = http.ReadRequest(bufio.NewReader(conn))
		_, _ = io.WriteString(conn, "HTTP/1.1 101 X\r\n\r\n"+string(textFrame(true, 1, "welcome")))
		accepted <- conn
	}()
	client := start(t, netip.MustParseAddrPort(listener.Addr().String()))
	group := &load.Group{Connections: 1, Span: 1, Count: 1, SmallBuffers: true}
	if _, err := client.Connect(t.Context(), group, 1, 1); err != nil {
		t.Fatal(err)
	}
	if err := client.Freeze(t.Context(), group); err != nil {
		t.Fatal(err)
	}
	conn := <-accepted
	defer func() { _ = conn.Close() }()
	// A client that reads would take all bytes; a frozen one blocks the write.
	if err := conn.SetWriteDeadline(time.Now().Add(500 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	frame := textFrame(true, 1, string(mark(1)))
	for written := 0; written < 64<<20; written += len(frame) {
		if _, err := conn.Write(frame); err != nil {
			return
		}
	}
	t.Error("64 MB went to a connection that does not read")
}
