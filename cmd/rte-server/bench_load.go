package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// entity is the id of the user that a topic is about.
func (b *bench) entity(topic int) string { return fmt.Sprintf("0d000000-0000-4000-9000-%012d", topic) }

// listensTo says which topics a client listens to: as many as it may, beginning where the one before it ended.
func (b *bench) listensTo(client, n int) (topic int) { return (client*b.subscriptions + n) % b.topics }

// expected is how many deliveries so many events make, which go to the topics in turn.
func (b *bench) expected(published int) int {
	listeners := make([]int, b.topics)
	for c := range b.clients {
		for n := range b.subscriptions {
			listeners[b.listensTo(c, n)]++
		}
	}
	sum := 0
	for topic, n := range listeners {
		events := published / b.topics
		if topic < published%b.topics {
			events++
		}
		sum += n * events
	}
	return sum
}

// publish publishes at the rate until its time is over; it answers how many events the server took. If the server is
// slower, so is it.
func (b *bench) publish(ctx context.Context) (published int, err error) {
	began := time.Now()
	ticker := time.NewTicker(benchTick)
	defer ticker.Stop()
	var body bytes.Buffer
	for {
		elapsed := min(time.Since(began), b.duration)
		due := int(elapsed.Seconds() * float64(b.rate))
		if due = min(due, published+1000); due > published {
			body.Reset()
			for n := published; n < due; n++ {
				fmt.Fprintf(&body, `{"OrganizationId":%q,"EntityType":"User","EntityId":%q,"EventType":"UserCallInArrived","Bench":"%d %d %d"}`+"\n",
					b.organization, b.entity(n%b.topics), n%b.topics, n/b.topics+1, time.Now().UnixNano())
			}
			if err := b.post(ctx, &body); err != nil {
				return published, err
			}
			published = due
			continue
		}
		if elapsed == b.duration {
			return published, nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return published, ctx.Err()
		}
	}
}

// post sends events to the operators' port.
func (b *bench) post(ctx context.Context, body io.Reader) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(b.operators, "/")+"/api/publish", body)
	if err != nil {
		return err
	}
	if b.consoleToken != "" {
		request.Header.Set("Authorization", "Bearer "+b.consoleToken)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %.200s", response.Status, answer)
	}
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	return nil
}
