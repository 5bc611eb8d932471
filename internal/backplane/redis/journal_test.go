package redis_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/backplanetest"
	"github.com/rte-server/rte-server/internal/backplane/redis/command"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// slowLine is a connection with a limited rate.
type slowLine struct {
	net.Conn
	rate *atomic.Int64 // bytes per second; 0: unlimited
}

func (c *slowLine) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p[:min(len(p), 4<<10)])
	if rate := c.rate.Load(); rate > 0 {
		time.Sleep(time.Duration(n) * time.Second / time.Duration(rate))
	}
	return n, err
}

// After an outage, one command read the journals of many lanes. The answer took longer than the timeout of the
// command, and the node repeated the same command without end.
func TestRepair_splitsLargeReads(t *testing.T) {
	const lanes, each = 100, 50
	server := rtetest.MustStartRedis(t)
	proxy := rtetest.MustStartProxy(t, server.Addr)
	var rate atomic.Int64
	o := quick(proxy.Addr)
	o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &slowLine{conn, &rate}, nil
	}
	node, sink, _ := mustNode(t, o)
	other, _, _ := mustNode(t, patient(server.Addr))
	var topics []events.Topic
	for range lanes {
		topics = append(topics, backplanetest.Topic(events.NewID(), events.NewID()))
	}
	backplanetest.MustAcquire(t, node, topics...)
	proxy.Blackhole()
	for number := range each {
		var batch [][]byte
		for _, topic := range topics {
			ev := backplanetest.NewEvent(topic, number)
			ev.Padding = 1 << 10
			batch = append(batch, ev.JSON())
		}
		if errs := other.PublishBatch(t.Context(), batch); errs != nil {
			t.Fatal(errs)
		}
	}
	rate.Store(3 << 20) // they are 7 MB, and a command may take half a second
	proxy.Cut()
	proxy.Open()
	sink.Wait(t, lanes*each)
}

// A journal with entries that are too large for one reply does not hold up the repair of another lane, and its smaller
// entries are recovered.
func TestRepair_readsAroundHugeEntries(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	proxy := rtetest.MustStartProxy(t, server.Addr)
	client := server.Client()
	defer client.Close()
	node, sink, _ := mustNode(t, quick(proxy.Addr))
	other, _, _ := mustNode(t, patient(server.Addr))
	huge, normal := backplanetest.Topic(
		events.NewID(), events.NewID(),
	), backplanetest.Topic(events.NewID(), events.NewID())
	backplanetest.MustAcquire(t, node, huge, normal)
	for _, topic := range []events.Topic{huge, normal} {
		backplanetest.MustPublish(t, other, backplanetest.NewEvent(topic, 0))
	}
	sink.Wait(t, 2)
	proxy.Blackhole()
	backplanetest.MustPublish(t, other, backplanetest.NewEvent(huge, 1))
	lane := backplane.Layout{}.Lane(huge.Organization, huge.Entity)
	entry := &goredis.XAddArgs{Stream: command.JournalKey(lane), Values: []any{"d", make([]byte, 17<<20)}}
	if err := client.XAdd(t.Context(), entry).Err(); err != nil {
		t.Fatal(err)
	}
	backplanetest.MustPublish(t, other, backplanetest.NewEvent(normal, 1))
	proxy.Cut()
	proxy.Open()
	sink.WaitTopic(t, normal, 2)
	sink.WaitTopic(t, huge, 2)
}
