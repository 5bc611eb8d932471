package transport_test

import (
	"bytes"
	"runtime"
	"testing"

	"github.com/rte-server/rte-server/internal/hub"
)

// readers returns how many goroutines read connections.
func readers() int {
	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	return bytes.Count(stacks, []byte("transport.(*Conn).read("))
}

// A connection that waits for its client has no goroutine. Whatever happens to it starts one: a ping, a call, the end
// of the client, the end of the server.
func TestIdleConnections_haveNoGoroutine(t *testing.T) {
	s := startServer(t)
	var wires []*wire
	for range 12 {
		w := s.open("json")
		if _, failure := w.call("1", "Subscribe", items(0, 1)); failure != "" {
			t.Fatal(failure)
		}
		wires = append(wires, w)
	}
	s.eventually("no goroutine reads", func() bool { return readers() == 0 })
	for _, w := range wires {
		w.expectNothing()
		if result, failure := w.call("2", "UnsubscribeAll"); result != "true" {
			t.Errorf("%s: %s", result, failure)
		}
		w.expectNothing()
	}
	s.eventually("no goroutine reads", func() bool { return readers() == 0 })
	for _, w := range wires[:4] {
		_ = w.Close()
	}
	s.eventually("connections of clients that left end", func() bool { return s.Connections() == len(wires)-4 })
	if err := s.hub.Drain(t.Context(), hub.Pace{}); err != nil {
		t.Error(err)
	}
	for _, w := range wires[4:] {
		w.expectText(`{"type":7,"allowReconnect":true}`)
		w.expectClose(1000)
	}
	s.eventually("all connections end", func() bool { return s.Connections() == 0 })
}
