package redis_test

import (
	"strings"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/backplane/redis"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// A master without a replica died. As soon as the other masters agreed on that, its link ended, and nothing reported
// any more that a third of the lanes was missing.
func TestBackplane_healthOfSlotsWithoutMaster(t *testing.T) {
	c := rtetest.MustStartCluster(t, 3, 0, 500*time.Millisecond)
	for _, server := range c.Servers {
		client := server.Client()
		if err := client.ConfigSet(t.Context(), "cluster-require-full-coverage", "no").Err(); err != nil {
			t.Fatal(err)
		}
		_ = client.Close()
	}
	node, _, _ := mustNode(t, redis.Options{Addresses: c.Addrs(), Cluster: true})
	c.Servers[1].Kill()
	waitFor(t, "it is seen that slots have no master", func() bool {
		h := node.Health()
		return !h.Connected && strings.HasSuffix(h.Detail, " 5461 slots have no master")
	})
	c.Servers[1].Start()
	waitHealth(t, node, true)
}
