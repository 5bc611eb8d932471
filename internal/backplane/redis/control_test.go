package redis_test

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/redis"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// topologies are the ways to distribute Redis, with a client that writes to the server on which a node reads.
func topologies(t *testing.T) map[string]func(t *testing.T) (redis.Options, func(key string) goredis.Cmdable) {
	t.Helper()
	return map[string]func(t *testing.T) (redis.Options, func(key string) goredis.Cmdable){
		"one server": func(t *testing.T) (redis.Options, func(string) goredis.Cmdable) {
			server := rtetest.MustStartRedis(t)
			client := server.Client()
			t.Cleanup(func() { _ = client.Close() })
			return patient(server.Addr), func(string) goredis.Cmdable { return client }
		},
		"two independent servers": func(t *testing.T) (redis.Options, func(string) goredis.Cmdable) {
			o := patient("")
			o.Addresses, o.Sharded = nil, true
			var clients []*goredis.Client
			for range 2 {
				server := rtetest.MustStartRedis(t)
				client := server.Client()
				t.Cleanup(func() { _ = client.Close() })
				o.Addresses, clients = append(o.Addresses, server.Addr), append(clients, client)
			}
			return o, func(key string) goredis.Cmdable { return clients[crc32.ChecksumIEEE([]byte(key))%2] }
		},
		"a cluster": func(t *testing.T) (redis.Options, func(string) goredis.Cmdable) {
			cluster := rtetest.MustStartCluster(t, 3, 0, 2*time.Second)
			o := patient("")
			o.Addresses, o.Cluster = cluster.Addrs(), true
			client := goredis.NewClusterClient(&goredis.ClusterOptions{Addrs: cluster.Addrs(), Protocol: 2})
			t.Cleanup(func() { _ = client.Close() })
			return o, func(string) goredis.Cmdable { return client }
		},
	}
}

// Control messages, revocations and documents work in every topology.
func TestControl_worksInEveryTopology(t *testing.T) {
	for name, begin := range topologies(t) {
		t.Run(name, func(t *testing.T) {
			o, client := begin(t)
			b, _, _ := mustNode(t, o)
			received, missed := make(chan string, 10), make(chan bool, 10)
			b.Subscribe(backplane.RevokeChannel, func(m []byte) { received <- string(m) }, func() { missed <- true })
			await(t, "the subscription", missed)

			until := time.Now().Add(time.Hour).Truncate(time.Second)
			store := b.Revocations()
			// a shorter time changes nothing
			for _, until := range []time.Time{until.Add(-500 * time.Millisecond), until.Add(-time.Minute)} {
				if err := store.Keep(t.Context(), []byte(`{"jti":"one"}`), until, []byte("message")); err != nil {
					t.Fatal(err)
				}
				if got := await(t, "the message", received); got != "message" {
					t.Errorf("received %q", got)
				}
			}
			err := client("rte:c:revoked").ZAdd(t.Context(), "rte:c:revoked",
				goredis.Z{Score: float64(time.Now().Add(-time.Second).Unix()), Member: "just over"},
				goredis.Z{Score: float64(time.Now().Add(-time.Hour).Unix()), Member: "long over"},
			).Err()
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]time.Time{`{"jti":"one"}`: until}
			if got := kept(t, store); !maps.EqualFunc(got, want, time.Time.Equal) {
				t.Errorf("kept are %v, want %v", got, want)
			}
			if n := client("rte:c:revoked").ZCard(t.Context(), "rte:c:revoked").Val(); n != 2 {
				t.Errorf("%d members are left, want the one in force and the one that has just ended", n)
			}

			ids := make([]events.ID, 60)
			for i := range ids {
				ids[i] = events.ID{0: 1, 15: byte(i)}
				key := "rte:d:e:" + ids[i].String()
				switch i % 3 {
				case 0:
					err = client(key).Set(t.Context(), key, i, 0).Err()
				case 1:
					err = client(key).RPush(t.Context(), key, "a list").Err()
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			documents := make([][]byte, len(ids))
			if err := b.Documents(t.Context(), ids, documents); err != nil {
				t.Fatal(err)
			}
			for i, d := range documents {
				if i%3 == 0 && string(d) != fmt.Sprint(i) || i%3 != 0 && d != nil {
					t.Errorf("document %d is %q", i, d)
				}
			}
		})
	}
}

// kept returns the content of a store.
func kept(t *testing.T, store backplane.Revocations) map[string]time.Time {
	t.Helper()
	all := map[string]time.Time{}
	if err := store.Kept(t.Context(), func(member []byte, until time.Time) { all[string(member)] = until }); err != nil {
		t.Fatal(err)
	}
	return all
}

// A node learns that it may have missed messages.
func TestControl_reportsInterruptions(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	proxy := rtetest.MustStartProxy(t, server.Addr)
	b, _, _ := mustNode(t, quick(proxy.Addr))
	received, missed := make(chan string, 10), make(chan bool, 10)
	b.Subscribe(backplane.DirectoryChannel, func(m []byte) { received <- string(m) }, func() { missed <- true })
	await(t, "the subscription", missed)
	for range 2 {
		proxy.Cut()
		await(t, "the subscription after the cut", missed)
	}
	if err := b.Send(t.Context(), backplane.DirectoryChannel, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if got := await(t, "a message", received); got != "hello" {
		t.Errorf("received %q", got)
	}
	if len(missed) > 0 {
		t.Error("reported an interruption that did not happen")
	}
}

// The set does not fit into one page.
func TestRevocations_many(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	b, _, _ := mustNode(t, patient(server.Addr))
	client := server.Client()
	defer client.Close()
	const n = 5000
	members := make([]goredis.Z, n)
	for i := range members {
		members[i] = goredis.Z{Score: 1e15, Member: fmt.Sprintf(`{"jti":"%d"}`, i)} // a score beyond all years
	}
	if err := client.ZAdd(t.Context(), "rte:c:revoked", members...).Err(); err != nil {
		t.Fatal(err)
	}
	if got := kept(t, b.Revocations()); len(got) != n || got[`{"jti":"7"}`].Year() != 9999 {
		t.Errorf("%d are kept, until %v", len(got), got[`{"jti":"7"}`])
	}
}

// Every call reports within its time that Redis is away.
func TestControl_redisAway(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	proxy := rtetest.MustStartProxy(t, server.Addr)
	b, _, _ := mustNode(t, quick(proxy.Addr))
	proxy.Blackhole()
	ctx, cancel := context.WithTimeout(t.Context(), rtetest.Patience)
	defer cancel()
	if err := b.Documents(ctx, make([]events.ID, 3), make([][]byte, 3)); err == nil {
		t.Error("documents are read from nowhere")
	}
	if err := b.Send(ctx, backplane.RevokeChannel, []byte("x")); !errors.Is(err, backplane.ErrUnavailable) {
		t.Errorf("send: %v", err)
	}
	if err := b.Revocations().Keep(ctx, []byte("x"), time.Now().Add(time.Hour), []byte("x")); err == nil {
		t.Error("a revocation is kept nowhere")
	}
	if err := b.Revocations().Kept(ctx, func([]byte, time.Time) {}); err == nil {
		t.Error("revocations are read from nowhere")
	}
	if ctx.Err() != nil {
		t.Error("it took too long")
	}
}

// A Subscribe of 1,000 items needs these documents.
func TestDocuments_needOneRoundTrip(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	b, _, _ := mustNode(t, patient(server.Addr))
	client := server.Client()
	defer client.Close()
	if err := client.ConfigResetStat(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if err := b.Documents(t.Context(), make([]events.ID, 1000), make([][]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	stats, err := client.Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(stats, "cmdstat_mget:calls=1,") || strings.Contains(stats, "cmdstat_get:") {
		t.Errorf("want one MGET:\n%s", stats)
	}
}

// await receives the next value.
func await[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(rtetest.Patience):
		t.Fatalf("%s does not come", what)
	}
	panic("unreachable")
}
