package helpers

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// programs is the binary that the tests start, and client the built helper; TestMain removes both.
var (
	programs rtetest.Programs
	client   rtetest.TypeScriptClient
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		programs.Remove()
		client.Remove()
		_ = os.RemoveAll(javaClasses)
		os.Exit(code)
	}))
}

const (
	repository   = "../.."
	organization = "29f6e823-b484-e611-80c9-00505689257e"
	lane         = "rte:org:" + organization
	agents       = 3
	crowd        = 2500 // users of the directory
	queue        = "c9eeb030-ff4b-ea11-ac9c-00155d4fdcf3"
	stranger     = "a1eeb030-ff4b-ea11-ac9c-00155d4fdcf3"
)

// agentID returns the id of a user of the organization.
func agentID(n int) string { return fmt.Sprintf("aa9730c4-ce86-e611-80c9-%012x", n) }

// topic is one event of one entity, as the application names it.
type topic struct {
	EntityID  string `json:"entityId"`
	EventName string `json:"eventName"`
}

func (p topic) String() string { return p.EntityID + " " + p.EventName }

// topics returns what the application subscribes to: two kinds of states, and call events.
func topics() []topic {
	all := []topic{{queue, "QueueStatus"}}
	for n := range agents {
		all = append(all, topic{agentID(n), "UserStatus"}, topic{agentID(n), "UserCallInArrived"})
	}
	return all
}

// stage is a node behind a proxy, its Redis, and the web server of the application: the page, the tokens and the events
// so far, as a REST API has them.
type stage struct {
	t      *testing.T
	redis  *rtetest.Redis
	server *rtetest.Server
	proxy  *rtetest.Proxy
	web    *httptest.Server

	settings rtetest.Settings // of its nodes

	mu       sync.Mutex // guards the following fields
	endpoint string
	sign     func(reason string) string
	truth    map[string][]int
}

// newStage starts a stage whose node has more settings.
func newStage(t *testing.T, more rtetest.Settings) *stage {
	t.Helper()
	s := &stage{t: t, redis: rtetest.MustStartRedis(t), truth: map[string][]int{}}
	s.sign = s.signFor(time.Hour)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /token", s.serveToken)
	mux.HandleFunc("GET /truth", s.serveTruth)
	built := filepath.Join(mustBuild(t), "node_modules/@rte-server/client/dist/browser.js")
	for name, path := range map[string]string{
		"page.html": "node/page.html", "view.mjs": "node/view.mjs", "browser.js": built,
	} {
		mux.HandleFunc("GET /"+name, func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, path) })
	}
	s.web = httptest.NewServer(mux)
	t.Cleanup(s.web.Close)
	settings := rtetest.Settings{
		"redis.addresses": s.redis.Addr, "directory.kind": "file", "directory.file": s.mustWriteDirectory(),
		"origins": s.web.URL, "timeouts.keep_alive": "1s", "resync.window": "1s", "resync.close_window": "1s",
	}
	maps.Copy(settings, more)
	s.settings = settings
	s.server = rtetest.MustStartServer(t, programs.MustBuild(t), settings)
	s.proxy = rtetest.MustStartProxy(t, s.server.Host)
	s.endpoint = "ws://" + s.proxy.Addr + "/rte"
	return s
}

// setEndpoint sets the address that the REST API returns.
func (s *stage) setEndpoint(url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endpoint = url
}

func (s *stage) mustWriteDirectory() string {
	s.t.Helper()
	var text strings.Builder
	text.WriteString("entities:\n")
	for n := range crowd {
		fmt.Fprintf(&text, "  - {id: %s, kind: User, organization: %s, name: Agent %d}\n", agentID(n), organization, n)
	}
	fmt.Fprintf(&text, "  - {id: %s, kind: Queue, organization: %s, name: Sales}\n", queue, organization)
	fmt.Fprintf(&text, "  - {id: %s, kind: User, organization: %s, name: Stranger}\n", stranger, stranger)
	path := filepath.Join(s.t.TempDir(), "directory.yaml")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// signFor returns a function that signs a token with a lifetime; a negative one has expired.
func (s *stage) signFor(ttl time.Duration) func(string) string {
	return func(string) string {
		return rtetest.MustTokenFor(s.t, authz.Claims{
			User: rtetest.MustID(s.t, agentID(0)), Organization: rtetest.MustID(s.t, organization), Role: authz.RoleService,
		}, ttl)
	}
}

// setTokens sets which token the REST API returns; an empty one: none.
func (s *stage) setTokens(sign func(reason string) string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sign = sign
}

func (s *stage) serveToken(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	token := s.sign(r.URL.Query().Get("reason"))
	endpoint := s.endpoint
	s.mu.Unlock()
	var answer any
	if token != "" {
		answer = map[string]string{"WssEndpoint": endpoint, "Token": token}
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func (s *stage) serveTruth(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = json.NewEncoder(w).Encode(s.truth)
}

// published returns the numbers of the events so far, by topic.
func (s *stage) published() map[string][]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string][]int{}
	for name, numbers := range s.truth {
		all[name] = append([]int(nil), numbers...)
	}
	return all
}

// publish publishes the next event of a topic as docs/redis.md describes tier T2, until Redis takes it.
func (s *stage) publish(redis *goredis.Client, p topic) {
	s.mu.Lock()
	number := len(s.truth[p.String()]) + 1
	s.mu.Unlock()
	event, ttl := newEvent(p, number)
	args := []any{"FCALL", "rte_publish", 2, "rte:j:{" + lane + "}", "rte:n:{" + lane + "}"}
	if ttl > 0 {
		kind := strings.TrimSuffix(p.EventName, "Status")
		args[2] = 3
		args = append(args, "rte:s:{"+lane+"}:"+kind+":"+p.EntityID+":"+p.EventName)
	}
	args = append(args, lane, event, 5000, max(ttl, 0), "PUBLISH")
	// Redis restarts in these tests, and a node loads the function again within seconds.
	for deadline := time.Now().Add(rtetest.Patience); ; time.Sleep(20 * time.Millisecond) {
		err := redis.Do(s.t.Context(), args...).Err()
		if err == nil {
			break
		}
		if s.t.Context().Err() != nil || time.Now().After(deadline) {
			if !s.t.Failed() {
				s.t.Errorf("publish: %v", err)
			}
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.truth[p.String()] = append(s.truth[p.String()], number)
}

// newEvent returns an event with a number, and its MessageTTLSeconds.
func newEvent(p topic, number int) (text []byte, ttl int) {
	event := map[string]any{
		"Id": events.NewID().String(), "RootEntityType": "Organization", "RootEntityId": organization,
		"OrganizationId": organization, "EntityId": p.EntityID, "EventType": p.EventName, "EntityType": "User",
		"UserId": p.EntityID, "Timestamp": time.Now().UTC(), "MessageTTLSeconds": 3600,
	}
	more := map[string]any{}
	switch p.EventName {
	case "QueueStatus":
		more = map[string]any{"EntityType": "Queue", "QueueId": p.EntityID, "NbrOfRequesters": number}
	case "UserStatus":
		more = map[string]any{"ParkedCalls": number}
	case "UserCallInArrived":
		more = map[string]any{"CallId": events.NewID().String(), "CallerNumber": fmt.Sprint(number), "MessageTTLSeconds": -1}
	}
	maps.Copy(event, more)
	text, err := json.Marshal(event)
	if err != nil {
		panic(err) // numbers and texts only
	}
	return text, event["MessageTTLSeconds"].(int)
}

// startPublishing publishes events of all topics in turn. The function it returns stops and waits for the last one.
func (s *stage) startPublishing() (stop func()) {
	stopping, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		redis := s.redis.Client()
		defer redis.Close()
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for all := topics(); ; {
			for _, p := range all {
				select {
				case <-stopping:
					return
				case <-tick.C:
					s.publish(redis, p)
				}
			}
		}
	}()
	stop = sync.OnceFunc(func() {
		close(stopping)
		<-done
	})
	s.t.Cleanup(stop) // where the test fails
	return stop
}
