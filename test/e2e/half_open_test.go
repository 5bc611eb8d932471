package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// A client lost before its first ping stayed for a quarter of an hour: the client timeout begins with the first ping
// (1.8), and the kernel repeats unconfirmed bytes. The times are a tenth of the defaults.
func TestHalfOpen_clientLostBeforeItsFirstPing(t *testing.T) {
	t.Parallel()
	network := rtetest.MustMakeNetwork(t)
	srv := network.MustAddHost().MustStartServer(programs.MustBuild(t, "node"), rtetest.Settings{
		"timeouts.keep_alive": "1500ms", "timeouts.client": "3s", "timeouts.send": "1s", "timeouts.unconfirmed": "3s",
	})
	agents := network.MustAddHost()
	token := mustTokenOfAgent(t, authz.RoleAgent)
	var clients []*rawClient
	for range 3 {
		conn, err := agents.Dial(t.Context(), "tcp", srv.Host)
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, openRaw(t, conn, token, 0))
	}
	healthy, err := network.MustAddHost().Dial(t.Context(), "tcp", srv.Host)
	if err != nil {
		t.Fatal(err)
	}
	witness := openRaw(t, healthy, token, 0)

	agents.Unplug()
	cut := time.Now()
	srv.WaitFor("the lost clients to end", func() bool {
		return srv.Metric("rte_transport_unconfirmed_total") == float64(len(clients))
	})
	if took := time.Since(cut); took > 15*time.Second {
		t.Errorf("the lost clients ended %s after the cut, want 6 s, or 15 s on a busy machine", took)
	}
	if got := strings.Count(srv.Log(), `"detail":"unconfirmed"`); got != len(clients) {
		t.Errorf("the audit log names %d lost clients, want %d", got, len(clients))
	}
	// It never pinged either, but its operating system confirms all bytes.
	witness.send(`{"type":1,"invocationId":"1","target":"AvailableSubscriptions","arguments":[]}`)
	witness.until(`"invocationId":"1"`)
}
