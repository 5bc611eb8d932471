package clients

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// programs is the binary that the tests start; TestMain removes it.
var programs rtetest.Programs

func TestMain(m *testing.M) {
	if os.Getenv(asGoClient) != "" {
		runGoClient()
		return
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		programs.Remove()
		os.Exit(code)
	}))
}

// The organization of these tests, and a user of another organization.
const (
	organization = "29f6e823-b484-e611-80c9-00505689257e"
	stranger     = "a1eeb030-ff4b-ea11-ac9c-00155d4fdcf3"
	maxAgents    = 400
)

// agentID returns the id of a user of the organization.
func agentID(n int64) string { return fmt.Sprintf("aa9730c4-ce86-e611-80c9-%012x", n) }

// stage is the environment of the script: a hub, and a Redis with its events.
type stage struct {
	// hubURL is the URL of the hub.
	hubURL string
	// http2URL is the URL of a load balancer that also offers HTTP/2; empty: none.
	http2URL string
	// certificate is the certificate of the hub; nil: plain HTTP.
	certificate *rtetest.Certificate
	// fallbacks reports whether clients may use transports beside WebSockets.
	fallbacks bool
	// page serves the page with Microsoft's client for browsers, on another origin than the hub.
	page *httptest.Server
	// token allows subscriptions to all entities of the organization.
	token string

	publisher *goredis.Client
	settings  rtetest.Settings // of its nodes
	agents    atomic.Int64     // number of users in use
}

// newStage returns a stage without a hub.
func newStage(t *testing.T) *stage {
	t.Helper()
	redis := rtetest.MustStartRedis(t)
	publisher := redis.Client()
	t.Cleanup(func() { publisher.Close() })
	page := httptest.NewServer(http.FileServerFS(pageFiles(t)))
	t.Cleanup(page.Close)
	return &stage{
		page: page, publisher: publisher,
		token: rtetest.MustToken(t, authz.Claims{
			User: rtetest.MustID(t, agentID(0)), Organization: rtetest.MustID(t, organization), Role: authz.RoleService,
		}),
		settings: rtetest.Settings{
			"redis.addresses": redis.Addr, "directory.kind": "file", "directory.file": mustWriteDirectory(t),
			"origins": page.URL, "log.level": "info",
			"timeouts.keep_alive": "1s", // pings arrive between other messages
		},
	}
}

// mustWriteDirectory writes the directory file and returns its path.
func mustWriteDirectory(t *testing.T) string {
	t.Helper()
	text := strings.Builder{}
	fmt.Fprintln(&text, "entities:")
	for n := range int64(maxAgents) {
		fmt.Fprintf(&text, "  - {id: %s, kind: User, organization: %s, name: Agent %d}\n", agentID(n), organization, n)
	}
	fmt.Fprintf(
		&text, "  - {id: %s, kind: User, organization: 39f6e823-b484-e611-80c9-00505689257e, name: A stranger}\n", stranger,
	)
	path := filepath.Join(t.TempDir(), "directory.yaml")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// startNode starts a node of the stage.
func (s *stage) startNode(t *testing.T, more rtetest.Settings) *rtetest.Server {
	t.Helper()
	settings := maps.Clone(s.settings)
	maps.Copy(settings, more)
	return rtetest.MustStartServer(t, programs.MustBuild(t, "node/adapter.js", "node/node.js", "node/chromium.js",
		"node/page.html", "node/herd.js", "node/resume.js", "node/package-lock.json", "java/src", "java/pom.xml", "python",
	), settings)
}

// agent returns a user without other subscribers.
func (s *stage) agent(t *testing.T) string {
	t.Helper()
	n := s.agents.Add(1)
	if n >= maxAgents {
		t.Fatalf("the stage has only %d agents", maxAgents)
	}
	return agentID(n)
}

// eventName is the name of the published event, which is never conflated.
const eventName = "UserCallInArrived"

// eventTime is the Timestamp of the published event.
const eventTime = "2020-01-01T12:00:00"

// publish publishes events of an agent, numbered from 0 on.
func (s *stage) publish(t *testing.T, conn *connection, agent string, events int) {
	t.Helper()
	s.publishFrom(t, agent, 0, events, conn.readsTimes())
}

// publishFrom publishes events of an agent, numbered from first on.
func (s *stage) publishFrom(t *testing.T, agent string, first, events int, withTime bool) {
	t.Helper()
	pipeline := s.publisher.Pipeline()
	for n := first; n < first+events; n++ {
		event := map[string]any{
			"RootEntityType": "Organization", "RootEntityId": organization, "OrganizationId": organization,
			"EventType": eventName, "EntityType": "User", "EntityId": agent, "UserId": agent,
			"MessageTTLSeconds": -1, "CallerNumber": "+123457890123", "TargetNumber": nil, "Number": n,
		}
		if withTime {
			event["Timestamp"] = eventTime + "Z"
		}
		data, err := json.Marshal(event)
		if err != nil {
			t.Fatal(err)
		}
		pipeline.Publish(t.Context(), "rte:org:"+organization, data)
	}
	if _, err := pipeline.Exec(t.Context()); err != nil {
		t.Fatalf("publish: %v", err)
	}
}
