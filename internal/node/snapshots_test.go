package node

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/config"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
	"github.com/rte-server/rte-server/internal/hub"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// wire is a connection that keeps the text of its frames.
type wire struct {
	mu   sync.Mutex // guards text
	text strings.Builder
}

func (*wire) Warm() {}

func (r *wire) TryWrite(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *wire) WriteAll(p []byte) error {
	_, err := r.TryWrite(p)
	return err
}

func (r *wire) KeepAlive(time.Time) ([]byte, time.Duration, bool) { return nil, time.Minute, true }
func (r *wire) Owner() fanout.Owner                               { return fanout.Owner{} }
func (r *wire) Final(fanout.EndReason) []byte                     { return nil }
func (r *wire) Ended(fanout.EndReason)                            {}
func (r *wire) ID() string                                        { return "wire" }
func (r *wire) Resumes() bool                                     { return false }
func (r *wire) Lost()                                             {}
func (r *wire) Sequence(uint64) []byte                            { return nil }
func (r *wire) Protocol() fanout.Protocol                         { return fanout.ProtocolJSON }
func (r *wire) Features() hub.Features                            { return hub.Features{Snapshot: true} }
func (r *wire) Remote() hub.Remote                                { return hub.Remote{} }
func (r *wire) EncodeCompletion(*hub.Completion) []byte           { return []byte("answer\x1e") }
func (r *wire) EncodeNotice(hub.Notice) []byte                    { return nil }
func (r *wire) EncodeClose(hub.CloseReason) []byte                { return nil }

// arrivals returns the user and the number of each event after "answer".
func (r *wire) arrivals(t *testing.T) (users []string, numbers []int) {
	t.Helper()
	r.mu.Lock()
	records := strings.Split(r.text.String(), "\x1e")
	r.mu.Unlock()
	if !strings.HasSuffix(records[0], "answer") {
		t.Errorf("the first frame is %q, not the answer", records[0])
	}
	for _, record := range records[1:] {
		_, text, ok := strings.Cut(record, "{")
		if !ok {
			continue
		}
		var invocation struct {
			Arguments []struct {
				Data struct {
					EntityID     string `json:"entityId"`
					ActiveQueues int    `json:"activeQueues"`
				}
			}
		}
		if err := json.Unmarshal([]byte("{"+text), &invocation); err != nil || len(invocation.Arguments) != 1 {
			t.Fatalf("record %q: %v", record, err)
		}
		data := invocation.Arguments[0].Data
		users, numbers = append(users, data.EntityID), append(numbers, data.ActiveQueues)
	}
	return users, numbers
}

// mustRunNode runs a node without a process of its own until the test ends.
func mustRunNode(t *testing.T, redis string) *Node {
	t.Helper()
	c := config.Default()
	c.Listen, c.Console.Listen, c.Shutdown.Delay, c.Shutdown.Drain = "127.0.0.1:0", "", 0, 0
	c.Auth.HMACSecret = rtetest.Secret
	c.Redis.Addresses = []string{redis}
	n, err := New(Options{Config: c, Logger: zap.NewNop(), Next: http.NotFoundHandler()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("node: %v", err)
		}
	})
	eventually(t, "the node to be connected", func() bool { return n.backplane.Health().Connected })
	return n
}

// TestSnapshots_fitToWhatFollows lets clients of two nodes subscribe at random times while the states of three users
// are published. A client must receive consecutive numbers of each user: the snapshot, or a newer state in its place,
// and then each newer state once.
func TestSnapshots_fitToWhatFollows(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	nodes := []*Node{mustRunNode(t, redis.Addr), mustRunNode(t, redis.Addr)}
	organization := events.NewID()
	users := []events.ID{events.NewID(), events.NewID(), events.NewID()}
	var items []string
	for _, user := range users {
		items = append(items, fmt.Sprintf(`{"EntityId":%q,"EventName":"UserStatus"}`, user))
	}
	argument := json.RawMessage("[" + strings.Join(items, ",") + "]")

	var published [3]atomic.Int64
	publish := func(user int) {
		number := published[user].Load() + 1
		if err := nodes[0].backplane.Publish(t.Context(), fmt.Appendf(nil,
			`{"Id":%q,"RootEntityType":"Organization","RootEntityId":%q,`+
				`"OrganizationId":%[2]q,"EntityType":"User","EntityId":%[3]q,"EventType":"UserStatus","MessageTTLSeconds":60,`+
				`"ActiveQueues":%[4]d}`,
			events.NewID(), organization, users[user], number)); err != nil {
			t.Errorf("publish: %v", err)
		}
		published[user].Store(number)
	}
	for user := range users {
		publish(user)
	}
	stop := make(chan struct{})
	var publisher, clients sync.WaitGroup
	publisher.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
				publish(n % len(users))
			}
		}
	})
	for client := range 8 {
		clients.Go(func() {
			n := nodes[client%len(nodes)]
			for range 15 {
				r := &wire{}
				s, err := n.hub.Open(r, &authz.Claims{User: events.NewID(), Organization: organization, Role: authz.RoleService})
				if err != nil {
					t.Errorf("open: %v", err)
					return
				}
				var after [3]int
				s.Invoke(t.Context(), &hub.Invocation{ID: "1", Target: "Subscribe", Arguments: []json.RawMessage{argument}})
				for user := range users {
					after[user] = int(published[user].Load())
				}
				for {
					seen := 0
					last := map[string]int{}
					who, numbers := r.arrivals(t)
					for i, user := range who {
						last[user] = numbers[i]
					}
					for user, id := range users {
						if last[id.String()] >= after[user] {
							seen++
						}
					}
					if seen == len(users) || t.Failed() {
						break
					}
					runtime.Gosched()
				}
				s.Close(hub.CloseGone)
				who, numbers := r.arrivals(t)
				next := map[string]int{}
				for i, user := range who {
					if next[user] != 0 && numbers[i] != next[user] {
						t.Errorf("%d came after %d", numbers[i], next[user]-1)
					}
					next[user] = numbers[i] + 1
				}
			}
		})
	}
	clients.Wait()
	close(stop)
	publisher.Wait()
}

// patience bounds the wait for an outcome that must come.
const patience = time.Minute

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(patience)
	for !condition() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
