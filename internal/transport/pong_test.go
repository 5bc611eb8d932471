package transport_test

import (
	"io"
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// A client got a pong for each ping, and the server allocated its frame and command. In a flood all other clients
// waited for the garbage collector. Now a ping costs no memory.
func TestConn_answersPingsWithoutAllocating(t *testing.T) {
	s := startServer(t, func(s *setup) { s.Limits.PingRate = 1e6 })
	for name, payload := range map[string]string{
		"no payload": "", "a payload": "ping", "a large payload": strings.Repeat("p", 125),
	} {
		t.Run(name, func(t *testing.T) {
			w := s.open("json")
			sent := frame(fin|opPing, []byte(payload))
			want := append([]byte{fin | opPong, byte(len(payload))}, payload...)
			got := make([]byte, len(want))
			allocs := testing.AllocsPerRun(200, func() {
				if _, err := w.Write(sent); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(w.in, got); err != nil || string(got) != string(want) {
					t.Fatalf("answered %q, %v", got, err)
				}
			})
			if allocs != 0 && !rtetest.RaceEnabled {
				t.Errorf("%v allocations for a ping and its pong", allocs)
			}
		})
	}
}
