package loadgen

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
func (l *Load) entity(topic int) string { return fmt.Sprintf("0d000000-0000-4000-9000-%012d", topic) }

// listensTo says which topics a client listens to: as many as it may, beginning where the one before it ended.
func (l *Load) listensTo(client, n int) (topic int) { return (client*l.Subscriptions + n) % l.Topics }

// expected is how many deliveries so many events make, which go to the topics in turn.
func (l *Load) expected(published int) int {
	listeners := make([]int, l.Topics)
	for c := range l.Clients {
		for n := range l.Subscriptions {
			listeners[l.listensTo(c, n)]++
		}
	}
	sum := 0
	for topic, n := range listeners {
		events := published / l.Topics
		if topic < published%l.Topics {
			events++
		}
		sum += n * events
	}
	return sum
}

// publish publishes at the rate until its time is over; it answers how many events the server took. If the server is
// slower, so is it.
func (l *Load) publish(ctx context.Context) (published int, err error) {
	began := time.Now()
	ticker := time.NewTicker(publishTick)
	defer ticker.Stop()
	var body bytes.Buffer
	for {
		elapsed := min(time.Since(began), l.Duration)
		due := int(elapsed.Seconds() * float64(l.Rate))
		if due = min(due, published+1000); due > published {
			body.Reset()
			for n := published; n < due; n++ {
				fmt.Fprintf(&body, `{"OrganizationId":%q,"EntityType":"User","EntityId":%q,"EventType":"UserCallInArrived","Bench":"%d %d %d"}`+"\n",
					l.Organization, l.entity(n%l.Topics), n%l.Topics, n/l.Topics+1, time.Now().UnixNano())
			}
			if err := l.post(ctx, &body); err != nil {
				return published, err
			}
			published = due
			continue
		}
		if elapsed == l.Duration {
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
func (l *Load) post(ctx context.Context, body io.Reader) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(l.Operators, "/")+"/api/publish", body)
	if err != nil {
		return err
	}
	if l.ConsoleToken != "" {
		request.Header.Set("Authorization", "Bearer "+l.ConsoleToken)
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
