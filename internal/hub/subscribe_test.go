package hub_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/hub"
)

func TestSubscribe_answersEachItem(t *testing.T) {
	const guid = `"c9eeb030-ff4b-ea11-ac9c-00155d4fdcf3"`
	result := func(subscribed bool, message, entity, event string) string {
		return `{"type":3,"invocationId":"7","result":[` + fmt.Sprintf(
			`{"subscribed":%v,"message":%s,"entityId":%s,"eventName":%q}]}`, subscribed, message, entity, event)
	}
	for name, test := range map[string]struct{ item, want string }{
		"Granted": {
			`{"EntityId":` + guid + `,"EventName":"QueueStatus"}`,
			result(true, "null", guid, "queuestatus"),
		},
		"PropertiesInAnyCase": {
			`{"ENTITYID":` + guid + `,"eventName":"QUEUESTATUS"}`,
			result(true, "null", guid, "queuestatus"),
		},
		"EntityEchoedAsSent": {
			`{"EntityId":"C9EEB030-ff4b-ea11-ac9c-00155d4fdcf3","EventName":"QueueStatus"}`,
			result(true, "null", `"C9EEB030-ff4b-ea11-ac9c-00155d4fdcf3"`, "queuestatus"),
		},
		"UnknownPropertiesIgnored": {
			`{"EntityId":` + guid + `,"EventName":"QueueStatus","More":{"deep":[1]}}`,
			result(true, "null", guid, "queuestatus"),
		},
		"Refused": {
			`{"EntityId":"f9eeb030-ff4b-ea11-ac9c-00155d4fdcf3","EventName":"UserStatus"}`,
			result(false, `"Unauthorized"`, `"f9eeb030-ff4b-ea11-ac9c-00155d4fdcf3"`, "userstatus"),
		},
		"UnknownEventInLowerCase": {
			`{"EntityId":` + guid + `,"EventName":"NoSuchÄ"}`,
			result(false, `"Unknown event"`, guid, "nosuchä"),
		},
		"NoGUID": {
			`{"EntityId":"{x}","EventName":"UserStatus"}`,
			result(false, `"Invalid entity id"`, `"{x}"`, "userstatus"),
		},
		"Empty": {`{}`, result(false, `"Invalid entity id"`, `""`, "")},
		"Null":  {`null`, result(false, `"Invalid entity id"`, `""`, "")},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, hub.Options{}, func(t *testing.T, r *rig) {
				expect(t, r.connect(t).invoke(t, "7", "Subscribe", "["+test.item+"]"), test.want)
			})
		})
	}
}

func TestSubscribe_neverFailsAsAWhole(t *testing.T) {
	run(t, hub.Options{}, func(t *testing.T, r *rig) {
		r.lanes.acquire = func(_ context.Context, topics []events.Topic) []error {
			errs := make([]error, len(topics))
			for i, topic := range topics {
				if topic.Entity == entity(3) {
					errs[i] = errors.New("not subscribed")
				}
			}
			return errs
		}
		c := r.connect(t)
		got := c.invoke(t, "1", "Subscribe", `[{"EntityId":"1","EventName":"UserStatus"},`+items(1, 3, 2, 3)[1:])
		want := results("1", []int{1, 3, 2, 3}, "", "Temporarily unavailable", "", "Temporarily unavailable")
		bad := `{"subscribed":false,"message":"Invalid entity id","entityId":"1","eventName":"userstatus"},`
		expect(t, got, strings.Replace(want, "[", "["+bad, 1))
		if got := c.active(t); len(got) != 2 {
			t.Errorf("active: %v", got)
		}
		if n := r.lanes.count(); n != 2 {
			t.Errorf("%d lanes are held", n)
		}
		if n := r.metric(t, "rte_hub_subscribe_items_total", "unavailable"); n != 2 {
			t.Errorf("%v items are counted as unavailable", n)
		}
	})
}

func TestSubscribe_waitsForLanesTwoSeconds(t *testing.T) {
	run(t, hub.Options{}, func(t *testing.T, r *rig) {
		r.lanes.acquire = func(ctx context.Context, topics []events.Topic) []error {
			<-ctx.Done()
			return []error{ctx.Err()}
		}
		start := time.Now()
		expect(t, r.connect(t).invoke(t, "1", "Subscribe", items(1)),
			results("1", []int{1}, "Temporarily unavailable"))
		if waited := time.Since(start); waited != 2*time.Second {
			t.Errorf("waited %v", waited)
		}
	})
}

func TestSubscribe_makesOneSubscriptionOfDuplicates(t *testing.T) {
	run(t, hub.Options{}, func(t *testing.T, r *rig) {
		c := r.connect(t)
		expect(t, c.invoke(t, "1", "Subscribe", items(1, 1, 2)), results("1", []int{1, 1, 2}))
		before := c.active(t)
		expect(t, c.invoke(t, "2", "Subscribe", items(2, 1)), results("2", []int{2, 1}))
		after := c.active(t)
		if len(after) != 2 || after[0].ID != before[0].ID || after[1].ID != before[1].ID {
			t.Errorf("before %v, after %v", before, after)
		}
		if n := r.lanes.count(); n != 2 {
			t.Errorf("%d lanes are held", n)
		}
		r.publish(1, "once")
		synctest.Wait()
		expect(t, c.lines(), "event "+before[0].ID+" once")
	})
}

func TestSubscribe_isLimited(t *testing.T) {
	run(t, hub.Options{Limits: hub.Limits{Subscriptions: 3, Items: 4}}, func(t *testing.T, r *rig) {
		c := r.connect(t)
		const limit = "Subscription limit reached"
		expect(t, c.invoke(t, "1", "Subscribe", items(1, 2)), results("1", []int{1, 2}))
		// Existing subscriptions do not count again, and items before the limit are granted.
		expect(t, c.invoke(t, "2", "Subscribe", items(3, 4, 1, 3)), results("2", []int{3, 4, 1, 3}, "", limit))
		expect(t, c.invoke(t, "3", "Subscribe", items(1, 2, 3, 1, 2)),
			results("3", []int{1, 2, 3, 1, 2}, "", "", "", "", limit))
		c.invoke(t, "4", "Unsubscribe", items(2))
		expect(t, c.invoke(t, "5", "Subscribe", items(4)), results("5", []int{4}))
		if n := r.metric(t, "rte_hub_subscriptions_active"); n != 3 {
			t.Errorf("%v subscriptions are counted", n)
		}
	})
}

// An agent needs few subscriptions, and could have 10,000 of ids that it made up.
func TestSubscribe_isLimitedForAgents(t *testing.T) {
	run(t, hub.Options{Limits: hub.Limits{Subscriptions: 3, AgentSubscriptions: 2}}, func(t *testing.T, r *rig) {
		const limit = "Subscription limit reached"
		agent := r.connect(t)
		expect(t, agent.invoke(t, "1", "Subscribe", items(1, 2, 3)), results("1", []int{1, 2, 3}, "", "", limit))
		s, err := r.Open(&conn{}, &authz.Claims{Organization: organization, Role: authz.RoleSupervisor})
		if err != nil {
			t.Fatal(err)
		}
		s.Invoke(t.Context(), invocation("1", "Subscribe", items(1, 2, 3, 4)))
		if n := s.Info().Subscriptions; n != 3 {
			t.Errorf("a supervisor has %d subscriptions", n)
		}
	})
}

func TestUnsubscribe_answersEachItem(t *testing.T) {
	run(t, hub.Options{}, func(t *testing.T, r *rig) {
		c := r.connect(t)
		const none = "Not subscribed"
		expect(t, c.invoke(t, "1", "Unsubscribe", items(1)), results("1", []int{1}, none))
		c.invoke(t, "2", "Subscribe", items(1, 2, 3))
		// The second of two equal items finds no subscription.
		expect(t, c.invoke(t, "3", "Unsubscribe", items(2, 9, 1, 2)), results("3", []int{2, 9, 1, 2}, "", none, "", none))
		r.publish(1, "gone")
		r.publish(3, "kept")
		synctest.Wait()
		expect(t, c.lines(), "event "+c.active(t)[0].ID+" kept")
		if n := r.lanes.count(); n != 1 {
			t.Errorf("%d lanes are held", n)
		}
		expect(t, c.invoke(t, "4", "Unsubscribe", `[{"EntityId":"x","EventName":"UserStatus"},{"EntityId":"`+
			entity(3).String()+`","EventName":"nosuch"}]`),
			`{"type":3,"invocationId":"4","result":[`+
				`{"subscribed":false,"message":"Invalid entity id","entityId":"x","eventName":"userstatus"},`+
				`{"subscribed":false,"message":"Unknown event","entityId":"`+entity(3).String()+`","eventName":"nosuch"}]}`)
	})
}

func TestUnsubscribe_needsNoDirectory(t *testing.T) {
	away := false
	o := hub.Options{Authorization: deciding(nil,
		func(ctx context.Context, c *authz.Claims, r []authz.Request) []authz.Decision {
			if away {
				panic("away")
			}
			return allowAll(ctx, c, r)
		})}
	run(t, o, func(t *testing.T, r *rig) {
		c := r.connect(t)
		c.invoke(t, "1", "Subscribe", items(1))
		away = true
		expect(t, c.invoke(t, "2", "Unsubscribe", items(1)), results("2", []int{1}))
	})
}

func TestUnsubscribeAll_endsAllSubscriptions(t *testing.T) {
	run(t, hub.Options{}, func(t *testing.T, r *rig) {
		c := r.connect(t)
		expect(t, c.invoke(t, "1", "UnsubscribeAll"), `{"type":3,"invocationId":"1","result":true}`)
		c.invoke(t, "2", "Subscribe", items(1, 2, 3))
		expect(t, c.invoke(t, "3", "UnsubscribeAll"), `{"type":3,"invocationId":"3","result":true}`)
		if got := c.active(t); len(got) != 0 {
			t.Errorf("active: %v", got)
		}
		synctest.Wait()
		r.publish(1, "gone")
		synctest.Wait()
		expect(t, c.lines())
		if n := r.lanes.count() + r.dispatcher.Topics(); n != 0 {
			t.Errorf("%d lanes and topics are left", n)
		}
	})
}

func TestAvailableSubscriptions_listsTheCatalog(t *testing.T) {
	want := `{"type":3,"invocationId":"1","result":["` + strings.Join(catalog.Names(), `","`) + `"]}`
	run(t, hub.Options{}, func(t *testing.T, r *rig) {
		c := r.connect(t)
		expect(t, c.invoke(t, "1", "AvailableSubscriptions"), want)
		expect(t, c.invoke(t, "1", "AvailableSubscriptions", items(1)), want)
		expect(t, c.invoke(t, "1", "AvailableSubscriptions", "null"), want)
	})
}

func TestActiveSubscriptions_describesThem(t *testing.T) {
	run(t, hub.Options{}, func(t *testing.T, r *rig) {
		c := r.connect(t)
		expect(t, c.invoke(t, "1", "ActiveSubscriptions"), `{"type":3,"invocationId":"1","result":[]}`)
		c.invoke(t, "2", "Subscribe", `[{"EntityId":"C9EEB030-FF4B-EA11-AC9C-00155D4FDCF3","EventName":"queuecallincoming"}]`)
		id := c.active(t)[0].ID
		if _, ok := events.ParseID(id); !ok {
			t.Errorf("id %q", id)
		}
		org := organization.String()
		expect(t, c.invoke(t, "3", "ActiveSubscriptions"), `{"type":3,"invocationId":"3","result":[{"id":"`+id+
			`","allRootEntities":false,"rootEntityId":"`+org+`","rootEntityType":"Organization","organizationId":"`+org+
			`","eventType":"QueueCallInComing","entityType":"Queue","entityId":"c9eeb030-ff4b-ea11-ac9c-00155d4fdcf3",`+
			`"allEntities":false}]}`)
	})
}

func TestInvoke_withoutIDIsNeverAnswered(t *testing.T) {
	run(t, hub.Options{}, func(t *testing.T, r *rig) {
		c := r.connect(t)
		expect(t, c.invoke(t, "", "NoSuch"))
		expect(t, c.invoke(t, "", "Subscribe"))
		expect(t, c.invoke(t, "", "Subscribe", `[{"EntityId":5}]`))
		expect(t, c.invoke(t, "", "ActiveSubscriptions"))
		expect(t, c.invoke(t, "", "Subscribe", items(1)))
		if got := c.active(t); len(got) != 1 {
			t.Errorf("active: %v", got)
		}
		expect(t, c.invoke(t, "", "UnsubscribeAll"))
		if got := c.active(t); len(got) != 0 {
			t.Errorf("active: %v", got)
		}
	})
}

// Clients subscribe again and again while events are published without a pause.
func TestSubscribe_missesNothingAfterTheAnswer(t *testing.T) {
	r := newRig(t, hub.Options{})
	defer r.start(t)()

	var published atomic.Int64
	stop := make(chan struct{})
	var publisher sync.WaitGroup
	publisher.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				r.publish(1, strconv.FormatInt(published.Load()+1, 10))
				published.Add(1)
			}
		}
	})

	for range 100 {
		var answered, unanswered bool
		var next, due, last int64
		enough := make(chan struct{})
		closed := make(chan struct{})
		c := r.connectWith(t, &conn{onFrame: func(line string) {
			number, isEvent := strings.CutPrefix(line, "event ")
			switch {
			case line == "close client":
				close(closed)
			case !isEvent && !answered:
				// The event behind this one may have passed the registry already; those that follow may not.
				answered, due = true, published.Load()+2
			case !isEvent:
				unanswered = true
			case !answered || unanswered:
				t.Errorf("%s outside of the subscription", line)
			default:
				n, _ := strconv.ParseInt(number[37:], 10, 64)
				if next != 0 && n != next || next == 0 && n > due {
					t.Errorf("event %d, want %d, at the latest %d", n, next, due)
				}
				next = n + 1
				if last++; last == 20 {
					close(enough)
				}
			}
		}})
		c.Invoke(t.Context(), invocation("1", "Subscribe", items(1)))
		<-enough
		c.Invoke(t.Context(), invocation("2", "Unsubscribe", items(1)))
		c.Close(hub.CloseByClient)
		<-closed
	}
	close(stop)
	publisher.Wait()
}
