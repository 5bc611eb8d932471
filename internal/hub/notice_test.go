package hub_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/hub"
)

// explainer gives the same explanation for every request.
type explainer struct{ explained []authz.Request }

func (e *explainer) Explain(_ context.Context, _ *authz.Claims, r authz.Request) authz.Explanation {
	e.explained = append(e.explained, r)
	step := authz.Step{Name: "directory", Reason: "does not know the entity"}
	return authz.Explanation{Message: authz.RefusedUnauthorized, Steps: []authz.Step{step}}
}

// annotated returns the results of a completion.
func annotated(t *testing.T, lines []string) []hub.SubscriptionResult {
	t.Helper()
	var completion struct{ Result []hub.SubscriptionResult }
	if len(lines) != 1 || json.Unmarshal([]byte(lines[0]), &completion) != nil {
		t.Fatalf("completion is %q", lines)
	}
	return completion.Result
}

func codes(results []hub.SubscriptionResult) string {
	var list []string
	for _, r := range results {
		list = append(list, r.Code)
	}
	return strings.Join(list, " ")
}

const oneOfEach = `[{"EntityId":"01000000-0000-0000-0000-000000000001","EventName":"UserStatus"},` +
	`{"EntityId":"no GUID","EventName":"UserStatus"},` +
	`{"EntityId":"01000000-0000-0000-0000-000000000001","EventName":"NoEvent"},` +
	`{"EntityId":"f1000000-0000-0000-0000-000000000001","EventName":"UserStatus"},` +
	`{"EntityId":"01000000-0000-0000-0000-000000000002","EventName":"UserStatus"}]`

func TestSubscribe_sendsCodesAndTracesWithNotices(t *testing.T) {
	e := &explainer{}
	o := hub.Options{Authorization: hub.Authorization{Explain: e.Explain}, Limits: hub.Limits{Subscriptions: 1}}
	run(t, o, func(t *testing.T, r *rig) {
		c := r.connectWith(t, &conn{features: hub.Features{Notices: true}})
		results := annotated(t, c.invoke(t, "1", "Subscribe", oneOfEach))
		if got := codes(results); got != "ok invalid_entity unknown_event unauthorized limit" {
			t.Errorf("codes are %s", got)
		}
		trace := results[1].TraceID
		if trace == "" || results[0].TraceID != "" || results[4].TraceID != trace {
			t.Errorf("traces are %+v", results)
		}
		refusal, ok := r.Refusal(strings.ToUpper(trace))
		if !ok || refusal.Refused != 4 || len(refusal.Items) != 4 || refusal.Connection != c.ID() {
			t.Fatalf("refusal is %+v", refusal)
		}
		item := refusal.Items[2]
		if item.Code != "unauthorized" || item.Explanation.Steps[0].Reason != "does not know the entity" {
			t.Errorf("third refused item is %+v", item)
		}
		if refusal.Items[3].Explanation != nil || len(e.explained) != 3 {
			t.Errorf("explained: %v", e.explained)
		}
		results = annotated(t, c.invoke(t, "2", "Unsubscribe", items(1, 2)))
		if got := codes(results); got != "ok not_subscribed" || results[1].TraceID != "" {
			t.Errorf("results of Unsubscribe are %+v", results)
		}
		if n := r.metric(t, "rte_hub_refusals_traced_total"); n != 1 {
			t.Errorf("%v refusals are counted", n)
		}
	})
}

func TestNotices_areOptIn(t *testing.T) {
	e := &explainer{}
	j := &forbidder{}
	run(t, hub.Options{Authorization: hub.Authorization{Explain: e.Explain, Rechecker: j}}, func(t *testing.T, r *rig) {
		c := r.connect(t)
		for _, line := range c.invoke(t, "1", "Subscribe", oneOfEach) {
			if strings.Contains(line, "code") || strings.Contains(line, "traceId") {
				t.Errorf("received %s", line)
			}
		}
		r.Recheck(j.forbid(1))
		synctest.Wait()
		expect(t, c.lines())
		if len(e.explained) != 0 || r.metric(t, "rte_hub_refusals_kept") != 0 {
			t.Errorf("%d refusals are explained", len(e.explained))
		}
	})
}

func TestRefusals_areBoundedInCallsItemsAndText(t *testing.T) {
	run(t, hub.Options{Authorization: hub.Authorization{Explain: (&explainer{}).Explain}}, func(t *testing.T, r *rig) {
		c := r.connectWith(t, &conn{features: hub.Features{Notices: true}})
		long := fmt.Sprintf(`{"EntityId":"%s","EventName":"UserStatus"}`, strings.Repeat("é", 1000))
		argument := "[" + strings.Repeat(long+",", 19) + long + "]"
		first := annotated(t, c.invoke(t, "1", "Subscribe", argument))[0].TraceID
		refusal, _ := r.Refusal(first)
		if refusal.Refused != 20 || len(refusal.Items) != 8 || len(refusal.Items[0].EntityID) > 64 {
			t.Errorf("refusal is %+v", refusal)
		}
		for range 500 {
			c.invoke(t, "2", "Subscribe", "["+long+"]")
		}
		if _, ok := r.Refusal(first); ok {
			t.Error("the oldest refusal is still kept")
		}
		if kept, limit := r.metric(t, "rte_hub_refusals_kept"), r.metric(t, "rte_hub_refusals_limit"); kept != limit {
			t.Errorf("%v refusals of %v are kept", kept, limit)
		}
	})
}

// ended returns the notice that subscriptions ended.
func ended(t *testing.T, lines []string) (notice hub.SubscriptionsEnded) {
	t.Helper()
	if len(lines) != 1 || !strings.HasPrefix(lines[0], "SubscriptionsEnded ") {
		t.Fatalf("received %q", lines)
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(lines[0], "SubscriptionsEnded ")), &notice); err != nil {
		t.Fatal(err)
	}
	return notice
}

func TestRecheck_notifiesOfEndedSubscriptions(t *testing.T) {
	j := &forbidder{}
	run(t, hub.Options{Authorization: hub.Authorization{Rechecker: j}}, func(t *testing.T, r *rig) {
		c := r.connectWith(t, &conn{features: hub.Features{Notices: true}})
		c.invoke(t, "1", "Subscribe", items(1, 2, 3))
		before := c.active(t)
		r.publish(2, "the last one")
		synctest.Wait()
		r.Recheck(j.forbid(2, 3))
		synctest.Wait()
		lines := c.lines()
		if len(lines) != 2 || !strings.HasSuffix(lines[0], "the last one") {
			t.Fatalf("received %q", lines)
		}
		notice := ended(t, lines[1:])
		want := hub.SubscriptionsEnded{Code: "unauthorized", Total: 2, Subscriptions: before[1:]}
		if diff := cmp.Diff(want, notice); diff != "" {
			t.Errorf("notice: -want +got\n%s", diff)
		}
		r.publish(2, "too late")
		synctest.Wait()
		expect(t, c.lines())
	})
}

func TestRecheck_describesABoundedNumberOfSubscriptions(t *testing.T) {
	j := &forbidder{}
	run(t, hub.Options{Authorization: hub.Authorization{Rechecker: j}}, func(t *testing.T, r *rig) {
		c := r.connectWith(t, &conn{features: hub.Features{Notices: true}})
		var numbers []int
		for n := range 600 {
			numbers = append(numbers, n)
		}
		c.invoke(t, "1", "Subscribe", items(numbers...))
		j.forbid(numbers...)
		r.Recheck(authz.Change{All: true, Entities: []events.ID{}})
		synctest.Wait()
		if notice := ended(t, c.lines()); notice.Total != 600 || len(notice.Subscriptions) != 500 {
			t.Errorf("the notice describes %d of %d", len(notice.Subscriptions), notice.Total)
		}
	})
}
