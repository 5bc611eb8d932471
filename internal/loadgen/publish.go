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

// entity returns the id of the user of a topic.
func (l *Load) entity(topic int) string { return fmt.Sprintf("0d000000-0000-4000-9000-%012d", topic) }

// topicOf returns the topic of subscription n of a client. The clients take the topics in turn.
func (l *Load) topicOf(client, n int) (topic int) { return (client*l.Subscriptions + n) % l.Topics }

// expected returns the number of deliveries of that many events, which go to the topics in turn.
func (l *Load) expected(published int) int {
	subscribers := make([]int, l.Topics)
	for c := range l.Clients {
		for n := range l.Subscriptions {
			subscribers[l.topicOf(c, n)]++
		}
	}
	sum := 0
	for topic, n := range subscribers {
		events := published / l.Topics
		if topic < published%l.Topics {
			events++
		}
		sum += n * events
	}
	return sum
}

// publish publishes at the rate until its time is over. It returns the number of events that the server accepted. It
// slows down to the speed of the server.
func (l *Load) publish(ctx context.Context, p *progress) (published int, err error) {
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
				fmt.Fprintf(&body,
					`{"OrganizationId":%q,"EntityType":"User","EntityId":%q,"EventType":"UserCallInArrived","Bench":"%d %d %d"}`+"\n",
					l.Organization, l.entity(n%l.Topics), n%l.Topics, n/l.Topics+1, time.Now().UnixNano())
			}
			if err := l.post(ctx, &body); err != nil {
				return published, err
			}
			published = due
			p.published.Store(int64(due))
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

// post sends events to the operator port.
func (l *Load) post(ctx context.Context, body io.Reader) error {
	request, err := http.NewRequestWithContext(
		ctx, http.MethodPost, strings.TrimSuffix(l.Operators, "/")+"/api/publish", body,
	)
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
