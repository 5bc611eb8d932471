package hub_test

import (
	"context"
	"errors"
	"testing"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/hub"
)

func TestQuota_boundsTheSubscriptionsOfAnOrganization(t *testing.T) {
	const limit = "Subscription limit reached"
	run(t, hub.Options{Limits: hub.Limits{Quota: 3}}, func(t *testing.T, r *rig) {
		one, two := r.connect(t), r.connect(t)
		expect(t, one.invoke(t, "1", "Subscribe", items(1, 2)), results("1", []int{1, 2}))
		expect(t, two.invoke(t, "1", "Subscribe", items(1, 2)), results("1", []int{1, 2}, "", limit))
		if n := r.metric(t, "rte_hub_subscribe_items_over_quota_total"); n != 1 {
			t.Errorf("%v items are counted", n)
		}

		// A subscription that exists, or that is not granted, does not count.
		expect(t, one.invoke(t, "2", "Subscribe", items(1, 1, 2)), results("2", []int{1, 1, 2}))
		r.lanes.acquire = func(_ context.Context, topics []events.Topic) []error {
			errs := make([]error, len(topics))
			for i := range errs {
				errs[i] = errors.New("away")
			}
			return errs
		}
		one.invoke(t, "3", "Unsubscribe", items(1))
		expect(t, one.invoke(t, "4", "Subscribe", items(5)), results("4", []int{5}, authz.RefusedUnavailable))
		r.lanes.acquire = nil
		expect(t, two.invoke(t, "5", "Subscribe", items(5)), results("5", []int{5}))
		expect(t, two.invoke(t, "6", "Subscribe", items(6)), results("6", []int{6}, limit))

		// Other organizations have quotas of their own.
		s, err := r.Open(&conn{}, &authz.Claims{Organization: events.ID{7}, Role: authz.RoleAgent})
		if err != nil {
			t.Fatal(err)
		}
		s.Invoke(t.Context(), invocation("", "Subscribe", items(1, 2, 3)))
		if n := s.Info().Subscriptions; n != 3 {
			t.Errorf("another organization has %d subscriptions", n)
		}

		// The end of a session frees its part.
		two.Close(hub.CloseByClient)
		expect(t, one.invoke(t, "7", "Subscribe", items(6, 7, 8)), results("7", []int{6, 7, 8}, "", "", limit))
		one.invoke(t, "8", "UnsubscribeAll")
		expect(t, one.invoke(t, "9", "Subscribe", items(1, 2, 3)), results("9", []int{1, 2, 3}))
		one.Close(hub.CloseByClient)
		s.Close(hub.CloseByClient)
		if n := r.QuotaUsed(); n != 0 {
			t.Errorf("%d subscriptions are still counted", n)
		}
	})
}

// An item whose lane cannot be acquired does not count, whether or not the others of its call are granted.
func TestQuota_doesNotCountWhatFails(t *testing.T) {
	run(t, hub.Options{Limits: hub.Limits{Quota: 3}}, func(t *testing.T, r *rig) {
		c := r.connect(t)
		r.lanes.acquire = func(_ context.Context, topics []events.Topic) []error {
			errs := make([]error, len(topics))
			errs[0] = errors.New("away")
			return errs
		}
		expect(t, c.invoke(t, "1", "Subscribe", items(1, 2)), results("1", []int{1, 2}, authz.RefusedUnavailable))
		if n := r.QuotaUsed(); n != 1 {
			t.Errorf("%d subscriptions are counted, want 1", n)
		}
		r.lanes.acquire = nil
		expect(t, c.invoke(t, "2", "Subscribe", items(3, 4)), results("2", []int{3, 4}))
		c.Close(hub.CloseByClient)
		if n := r.QuotaUsed(); n != 0 {
			t.Errorf("%d subscriptions are still counted", n)
		}
	})
}
