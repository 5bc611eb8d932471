package console_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rte-server/rte-server/internal/rtetest"
	"github.com/rte-server/rte-server/internal/simulator"
)

// TestConsole_looks opens the pages in all sizes while a call centre works. One client does not read, and a publisher
// sends faulty messages. With RTE_CONSOLE_PICTURES it writes pictures into that folder, after a time.
func TestConsole_looks(t *testing.T) {
	sc := newScene(t, 0, rtetest.Settings{ // keeps the client that does not read
		"limits.outbox_bytes": "16777216", "limits.outbox_age": "10m", "timeouts.client": "10m", "timeouts.send": "10m",
		"timeouts.unconfirmed": "10m",
	})
	organization := simulator.NewOrganization()
	publishes := exec.CommandContext(t.Context(), programs.MustBuild(t), "simulate", "--rate=40",
		"--redis.addresses="+sc.redis.Addr)
	publishes.Env = rtetest.Unconfigured(os.Environ())
	if err := publishes.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = publishes.Wait() }) // the end of the context has killed it

	frozenUser, frozenEntity := newID(), sc.entity
	frozen := sc.connect(sc.nodes[0], frozenUser)
	sc.organization = organization.ID.String()
	for i := range 9 {
		sc.entity = organization.Queues[i%len(organization.Queues)].ID.String()
		sc.connect(sc.nodes[i%2], organization.Users[i].ID.String())
	}
	var list struct {
		Connections []struct{ ID, Organization string }
	}
	sc.waitFor("all clients", func() bool {
		sc.get("/api/connections?nodes=all", &list)
		return len(list.Connections) == 10
	})
	if err := frozen.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	owner := list.Connections[0].Organization
	for _, c := range list.Connections {
		if c.Organization != sc.organization {
			owner = c.Organization
		}
	}
	publisher := sc.redis.Client()
	defer publisher.Close()
	note := strings.Repeat("x", 16<<10)
	sc.waitFor("a full socket", func() bool {
		for range 20 {
			event := fmt.Sprintf(`{"Id":%q,"OrganizationId":%q,"EventType":"UserCallInArrived","EntityType":"User",`+
				`"EntityId":%q,"Note":%q}`, newID(), owner, frozenEntity, note)
			if err := publisher.Publish(t.Context(), "rte:org:"+owner, event).Err(); err != nil {
				t.Fatal(err)
			}
		}
		var slow struct{ Connections []struct{ WaitingBytes int } }
		sc.get("/api/connections?slow=true", &slow)
		// With less, the buffers of the kernel might still take it.
		return len(slow.Connections) == 1 && slow.Connections[0].WaitingBytes > 256<<10
	})
	folder := os.Getenv("RTE_CONSOLE_PICTURES")
	if folder != "" {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	faulty := fmt.Sprintf(`{"OrganizationId":%q,"EventType":"UserStatus","EntityId":`, sc.organization)
	options := map[string]any{
		"folder": folder, "user": organization.Users[3].ID.String(), "queue": organization.Queues[0].ID.String(),
	}
	sc.play(t, "looks.mjs", options, map[string]func(){
		"publish something faulty": func() {
			if err := publisher.Publish(t.Context(), "rte:org:"+sc.organization, faulty).Err(); err != nil {
				t.Fatal(err)
			}
		},
	})
	pictures, err := filepath.Glob(filepath.Join(folder, "*.png"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range pictures {
		if folder != "" {
			shrink(t, path)
		}
	}
	if err := frozen.Signal(syscall.SIGCONT); err != nil {
		t.Error(err)
	}
}
