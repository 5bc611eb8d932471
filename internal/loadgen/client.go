package loadgen

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sync/errgroup"
)

// ErrToken is the error of a token that the server refused.
var ErrToken = errors.New("the server refused the token")

// item is an item of Subscribe.
type item struct {
	EntityID  string `json:"EntityId"`
	EventName string `json:"EventName"`
}

// client is one connection of a load. It uses the JSON protocol.
type client struct {
	ws        *websocket.Conn
	delivered atomic.Int64

	// Owned by read until it has ended.
	result result
	last   map[int]int // the number of the latest event, by topic
}

// result counts the deliveries of one client, or of all.
type result struct {
	delivered, duplicates, disordered int

	slowest time.Duration
	buckets [512]int // deliveries by latency: eight buckets for each doubling, from a microsecond on
}

func (r *result) add(other *result) {
	r.delivered += other.delivered
	r.duplicates += other.duplicates
	r.disordered += other.disordered
	r.slowest = max(r.slowest, other.slowest)
	for i, n := range other.buckets {
		r.buckets[i] += n
	}
}

// took adds a delivery.
func (r *result) took(latency time.Duration) {
	r.delivered++
	r.slowest = max(r.slowest, latency)
	bucket := int(8 * math.Log2(max(float64(latency)/float64(time.Microsecond), 1)))
	r.buckets[min(bucket, len(r.buckets)-1)]++
}

// distribution returns the buckets that are not empty.
func (r *result) distribution() (buckets []Bucket) {
	for i, n := range r.buckets {
		if n > 0 {
			buckets = append(buckets, Bucket{upperBound(i), n})
		}
	}
	return buckets
}

// upperBound returns the largest latency of a bucket.
func upperBound(bucket int) time.Duration {
	return time.Duration(math.Exp2(float64(bucket+1)/8) * float64(time.Microsecond))
}

// quantile returns the latency of that quantile, to a tenth.
func (r *result) quantile(q float64) time.Duration {
	left := int(math.Ceil(q * float64(r.delivered)))
	for i, n := range r.buckets {
		if left -= n; left <= 0 {
			return min(upperBound(i), r.slowest).Round(time.Microsecond)
		}
	}
	return r.slowest
}

// connect connects and subscribes all clients, some at a time. The caller must close the returned clients, also after
// an error.
func (l *Load) connect(ctx context.Context, p *progress) ([]*client, error) {
	clients := make([]*client, l.Clients)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(32)
	for i := range clients {
		group.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			ws, response, err := websocket.Dial(
				ctx, l.Hub, &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + l.Token}}},
			)
			if err != nil && response != nil && response.StatusCode == http.StatusUnauthorized {
				return ErrToken
			}
			if err != nil {
				return fmt.Errorf("connect: %w", err)
			}
			if response.Body != nil {
				_ = response.Body.Close()
			}
			ws.SetReadLimit(16 << 20)
			clients[i] = &client{ws: ws, last: map[int]int{}}
			if err := clients[i].subscribe(ctx, l, i); err != nil {
				return err
			}
			p.add(clients[i])
			return nil
		})
	}
	err := group.Wait()
	var connected []*client
	for _, c := range clients {
		if c != nil {
			connected = append(connected, c)
		}
	}
	return connected, err
}

// subscribe does the handshake and subscribes.
func (c *client) subscribe(ctx context.Context, l *Load, number int) error {
	var items []item
	for n := range l.Subscriptions {
		items = append(items, item{EntityID: l.entity(l.topicOf(number, n)), EventName: "UserCallInArrived"})
	}
	if err := c.ws.Write(ctx, websocket.MessageText, []byte(`{"protocol":"json","version":1}`+"\x1e")); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	for waiting := "{}"; ; {
		answer, err := c.record(ctx, waiting)
		if err != nil {
			return err
		}
		if strings.Contains(answer, `"subscribed":false`) || strings.Contains(answer, `"error":`) {
			return fmt.Errorf("subscribe: the server answers %.300s", answer)
		}
		if len(items) == 0 {
			return nil
		}
		some := items[:min(batchItems, len(items))]
		items = items[len(some):]
		call, err := json.Marshal(
			map[string]any{"type": 1, "invocationId": "1", "target": "Subscribe", "arguments": []any{some}},
		)
		if err == nil {
			err = c.ws.Write(ctx, websocket.MessageText, append(call, 0x1e))
		}
		if err != nil {
			return fmt.Errorf("subscribe: %w", err)
		}
		waiting = `{"type":3,`
	}
}

// record reads until a record with this beginning arrives, or one that reports an error.
func (c *client) record(ctx context.Context, begin string) (string, error) {
	for {
		_, data, err := c.ws.Read(ctx)
		if err != nil {
			return "", fmt.Errorf("subscribe: %w", err)
		}
		for record := range strings.SplitSeq(string(data), "\x1e") {
			if strings.HasPrefix(record, begin) || strings.HasPrefix(record, `{"error"`) ||
				strings.HasPrefix(record, `{"type":7`) {
				return record, nil
			}
		}
	}
}

// read counts deliveries until ctx ends.
func (c *client) read(ctx context.Context) error {
	for {
		_, data, err := c.ws.Read(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		now := time.Now()
		for record := range bytes.SplitSeq(data, []byte{0x1e}) {
			if bytes.HasPrefix(record, []byte(`{"type":7`)) {
				return errors.New(string(record))
			}
			_, mark, found := bytes.Cut(record, []byte(`"bench":"`))
			var topic, number int
			var sent int64
			if !found {
				continue
			}
			if _, err := fmt.Sscanf(string(mark[:min(len(mark), 60)]), "%d %d %d", &topic, &number, &sent); err != nil {
				return fmt.Errorf("event of another publisher: %.200s", record)
			}
			c.count(topic, number, now.Sub(time.Unix(0, sent)))
		}
	}
}

// count adds the delivery of an event of a topic. A skipped number is no loss yet: the event may arrive later. The
// number of deliveries shows losses at the end.
func (c *client) count(topic, number int, latency time.Duration) {
	switch last := c.last[topic]; {
	case number == last:
		c.result.duplicates++
		return
	case number < last:
		c.result.disordered++
	default:
		c.last[topic] = number
	}
	c.result.took(latency)
	c.delivered.Add(1)
}

// ping sends the pings of all clients until ctx ends.
func ping(ctx context.Context, clients []*client) error {
	ticker := time.NewTicker(pingInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
		for _, c := range clients {
			if err := c.ws.Write(ctx, websocket.MessageText, []byte(`{"type":6}`+"\x1e")); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}
