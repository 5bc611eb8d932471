package redis_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/backplanetest"
	"github.com/rte-server/rte-server/internal/backplane/redis"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// unanswered is a connection that breaks after an event was published on it, before the answer.
type unanswered struct {
	net.Conn
	published atomic.Bool
}

func (c *unanswered) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("rte_publish")) {
		c.published.Store(true)
	}
	return c.Conn.Write(p)
}

func (c *unanswered) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.published.Load() {
		return 0, io.EOF
	}
	return n, err
}

// An answer of a cluster got lost: go-redis published the event again and again, although it had no Id by which nodes
// could have recognized it.
func TestPublish_withoutIdOnlyOnce(t *testing.T) {
	c := rtetest.MustStartCluster(t, 3, 0, 5*time.Second)
	o := redis.Options{Addresses: c.Addrs(), Cluster: true}
	subscriber, sink, _ := mustNode(t, o)
	o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &unanswered{Conn: conn}, nil
	}
	publisher, _, _ := mustNode(t, o)
	topic := backplanetest.Topic(events.NewID(), events.NewID())
	backplanetest.MustAcquire(t, subscriber, topic)
	nameless := func(number int) []byte {
		ev := backplanetest.NewEvent(topic, number)
		ev.ID = events.ID{}
		return ev.JSON()
	}
	if err := publisher.Publish(t.Context(), nameless(1)); !errors.Is(err, backplane.ErrUnavailable) {
		t.Errorf("publish: %v", err)
	}
	if errs := publisher.PublishBatch(
		t.Context(), [][]byte{nameless(2)},
	); len(errs) != 1 || !errors.Is(errs[0], backplane.ErrUnavailable) {
		t.Errorf("publish a batch: %v", errs)
	}
	backplanetest.MustPublish(t, subscriber, backplanetest.NewEvent(topic, 3))
	sink.Wait(t, 3)
}

// A server without functions gets the events of a batch one after the other. When its memory is full, the event behind
// the one that it refuses is not published either.
func TestPublish_reportsTheEventsBehindAFailure(t *testing.T) {
	var taken atomic.Int64
	server := mustAnswer(t, "EVALSHA", func() string {
		if taken.Add(1) == 1 {
			return ":1\r\n"
		}
		return "-OOM command not allowed when used memory > 'maxmemory'.\r\n"
	})
	b, err := redis.New(redis.Options{
		Options:   backplane.Options{Catalog: events.Builtin(), Sink: backplanetest.NewRecorder()},
		Addresses: []string{server},
	})
	if err != nil {
		t.Fatal(err)
	}
	topic := backplanetest.Topic(events.NewID(), events.NewID())
	var batch [][]byte
	for number := range 3 {
		ev := backplanetest.NewEvent(topic, number)
		ev.ID = events.ID{} // it is published once
		batch = append(batch, ev.JSON())
	}
	errs := b.PublishBatch(t.Context(), batch)
	if len(errs) != 3 || errs[0] != nil || !errors.Is(errs[1], backplane.ErrUnavailable) ||
		!errors.Is(errs[2], backplane.ErrUnavailable) || taken.Load() != 2 {
		t.Errorf("the server got %d events; errors %v", taken.Load(), errs)
	}
}
