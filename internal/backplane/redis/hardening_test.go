package redis_test

import (
	"errors"
	"net"
	"runtime"
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/backplanetest"
	"github.com/rte-server/rte-server/internal/backplane/redis"
	"github.com/rte-server/rte-server/internal/backplane/resp"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// mustAnswer starts a server that answers one command with what answer returns, and knows no other.
func mustAnswer(t *testing.T, command string, answer func() string) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for in := resp.NewCommandReader(conn, 1<<20); ; {
					words, err := in.Next()
					if err != nil {
						return
					}
					text := "-ERR unknown command\r\n"
					if strings.EqualFold(string(words[0]), command) {
						text = answer()
					}
					if _, err := conn.Write([]byte(text)); err != nil {
						return
					}
				}
			}()
		}
	}()
	return listener.Addr().String()
}

// A reply that announced many elements took their memory before the first of them had come: 16 GB for 10^9.
func TestDocuments_hugeRepliesTakeNoMemory(t *testing.T) {
	for name, text := range map[string]string{
		"elements":             "*20000000\r\n",
		"a string":             "*1\r\n$400000000\r\n",
		"arrays within arrays": strings.Repeat("*1\r\n", 100_000),
	} {
		t.Run(name, func(t *testing.T) {
			b, err := redis.New(redis.Options{
				Options:   backplane.Options{Catalog: events.Builtin(), Sink: backplanetest.NewRecorder()},
				Addresses: []string{mustAnswer(t, "MGET", func() string { return text })},
			})
			if err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err = b.Documents(t.Context(), []events.ID{events.NewID()}, make([][]byte, 1))
			runtime.ReadMemStats(&after)
			if err == nil || !strings.Contains(err.Error(), resp.ErrTooLarge.Error()) {
				t.Errorf("error %v", err)
			}
			if took := (after.TotalAlloc - before.TotalAlloc) >> 20; took > 32 {
				t.Errorf("the reply took %d MB", took)
			}
		})
	}
}

// A server whose memory was full accepted canaries, and no events of T1 and T2. Nothing reported it.
func TestBackplane_reportsRefusedWrites(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	client := server.Client()
	defer client.Close()
	mustSetUser(t, server, "receiving", nodeRules)
	mustSetUser(t, server, "publishing", publishingRules)
	nodes := map[string]*redis.Backplane{}
	for _, user := range []string{"receiving", "publishing"} {
		o := patient(server.Addr)
		o.Username, o.Password = user, "secret"
		nodes[user], _, _ = mustNode(t, o)
	}
	for _, limit := range []string{"1", "0"} {
		if err := client.ConfigSet(t.Context(), "maxmemory", limit).Err(); err != nil {
			t.Fatal(err)
		}
		for user, node := range nodes {
			waitFor(t, "the health of "+user+" with maxmemory "+limit, func() bool {
				h := node.Health()
				return h.Connected && strings.Contains(h.Detail, "writes refused") == (limit == "1")
			})
		}
	}
}

// After FUNCTION FLUSH the functions were missing until a node had another connection: publishers of T2 could not
// publish.
func TestBackplane_loadsFlushedFunctions(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	client := server.Client()
	defer client.Close()
	_, _, metrics := mustNode(t, patient(server.Addr))
	loaded := func() bool { return client.FCallRO(t.Context(), "rte_version", nil).Err() == nil }
	waitFor(t, "the library", loaded)
	if err := client.FunctionFlush(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the library again", loaded)
	if ended := (&rigNode{metrics: metrics}).value(t, "rte_backplane_epochs_total"); ended != 0 {
		t.Errorf("%.0f connections ended", ended)
	}
}

// A server without commands that operators rename away (INFO, CLIENT, TIME, PING) left the node unconnected for ever.
// Without FUNCTION, or without FCALL and EVAL, publishing failed for ever, in the second case with a healthy node.
func TestBackplane_renamedCommands(t *testing.T) {
	const impossible = "neither FCALL and FUNCTION nor"
	for name, test := range map[string]struct {
		renamed  []string
		degraded string // empty: the node works
	}{
		"of connections":        {[]string{"INFO", "CLIENT", "TIME", "PING"}, ""},
		"FUNCTION":              {[]string{"FUNCTION"}, ""},
		"FCALL":                 {[]string{"FCALL", "FCALL_RO"}, ""},
		"functions and scripts": {[]string{"FCALL", "FCALL_RO", "FUNCTION", "EVAL", "EVALSHA"}, impossible},
		"EVAL and FUNCTION":     {[]string{"FUNCTION", "EVAL"}, impossible},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var renamed []string
			for _, command := range test.renamed {
				renamed = append(renamed, "--rename-command", command, "")
			}
			server := rtetest.MustStartRedis(t, renamed...)
			node, sink, _ := mustNode(t, patient(server.Addr))
			topic := backplanetest.Topic(events.NewID(), events.NewID())
			backplanetest.MustAcquire(t, node, topic)
			if test.degraded != "" {
				waitFor(t, "a degraded node", func() bool { return strings.Contains(node.Health().Detail, test.degraded) })
				return
			}
			backplanetest.MustPublish(t, node, backplanetest.NewEvent(topic, 1))
			sink.Wait(t, 1)
			if problem := node.Health().Detail; problem != "" {
				t.Errorf("degraded: %s", problem)
			}
		})
	}
}

// A journal or a counter that was another kind of key answered publishers like an outage: they repeated the event for
// ever, and the events of other organizations behind it in their request waited.
func TestPublish_refusesLaneWithForeignKeys(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	client := server.Client()
	defer client.Close()
	node, _, _ := mustNode(t, patient(server.Addr))
	for name, spoil := range map[string]func(lane string) error{
		"a list for a journal": func(lane string) error { return client.LPush(t.Context(), "rte:j:{"+lane+"}", "x").Err() },
		"a list for a counter": func(lane string) error { return client.LPush(t.Context(), "rte:n:{"+lane+"}", "x").Err() },
		"a word for a counter": func(lane string) error { return client.Set(t.Context(), "rte:n:{"+lane+"}", "x", 0).Err() },
	} {
		t.Run(name, func(t *testing.T) {
			organization := events.NewID()
			if err := spoil("rte:org:" + organization.String()); err != nil {
				t.Fatal(err)
			}
			foreign := backplanetest.NewEvent(backplanetest.Topic(organization, events.NewID()), 1)
			other := backplanetest.NewEvent(backplanetest.Topic(events.NewID(), events.NewID()), 1)
			errs := node.PublishBatch(t.Context(), [][]byte{[]byte("{}"), foreign.JSON(), other.JSON()})
			if len(errs) != 3 || !errors.Is(errs[0], events.ErrMalformed) || !errors.Is(errs[1], backplane.ErrWrongType) ||
				errs[2] != nil {
				t.Fatalf("errors %v", errs)
			}
			err := node.Publish(t.Context(), foreign.JSON())
			if !errors.Is(err, backplane.ErrRefused) || !strings.Contains(err.Error(), "rte:j:{rte:org:"+organization.String()) {
				t.Errorf("error %v", err)
			}
		})
	}
}
