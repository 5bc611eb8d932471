package hub_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/fanout"
	"github.com/rte-server/rte-server/internal/hub"
)

// The hazards of the library are listed in docs/decisions/0001-library-behind-a-filter.md. The package invoker has the
// tests of those inside it.

// noLoopEnded checks that no call ended a loop of the library.
func (r *rig) noLoopEnded(t *testing.T) {
	t.Helper()
	if n := r.metric(t, "rte_hub_pool_replaced_total"); n != 0 {
		t.Errorf("%v loops ended", n)
	}
}

func TestH2_completionComesBeforeTheFirstPush(t *testing.T) {
	run(t, hub.Options{}, func(t *testing.T, r *rig) {
		// Events arrive from the moment at which the lane is confirmed.
		var publisher sync.WaitGroup
		for n := range 50 {
			c := r.connect(t)
			publisher.Go(func() {
				for range 20 {
					r.publish(n, "x")
					runtime.Gosched()
				}
			})
			c.Invoke(t.Context(), invocation("1", "Subscribe", items(n)))
			publisher.Wait()
			r.publish(n, "x")
			synctest.Wait()
			lines := c.lines()
			if lines[0] != results("1", []int{n}) {
				t.Fatalf("first: %s", lines[0])
			}
			if len(lines) < 2 {
				t.Error("the last event is missing")
			}
		}
	})
}

func TestH3_frozenConnectionDelaysNoOther(t *testing.T) {
	run(t, hub.Options{Pool: 1}, func(t *testing.T, r *rig) {
		c, other := r.connectWith(t, &conn{frozen: true}), r.connect(t)
		for range 100 {
			c.Invoke(t.Context(), invocation("1", "AvailableSubscriptions"))
		}
		expect(t, other.invoke(t, "1", "UnsubscribeAll"), `{"type":3,"invocationId":"1","result":true}`)
	})
}

func TestH6_argumentsOfAnySize(t *testing.T) {
	run(t, hub.Options{Limits: hub.Limits{ArgumentBytes: 100_000}}, func(t *testing.T, r *rig) {
		c := r.connect(t)
		pad := func(n int) string {
			argument := items(1)
			return argument[:1] + strings.Repeat(" ", n-len(argument)) + argument[1:]
		}
		// Around the sizes of the library's buffers, and up to the limit.
		for _, n := range []int{200, 511, 512, 513, 32_600, 32_767, 32_768, 32_769, 65_536, 99_999, 100_000} {
			expect(t, c.invoke(t, "1", "Subscribe", pad(n)), results("1", []int{1}))
		}
		expect(t, c.invoke(t, "1", "Subscribe", pad(100_001)),
			"1 error Failed to invoke 'Subscribe' due to an error on the server.")
		r.noLoopEnded(t)
	})
}

func TestH8_onlyTheFiveMethods(t *testing.T) {
	run(t, hub.Options{}, func(t *testing.T, r *rig) {
		c := r.connect(t)
		for _, target := range []string{
			"NoSuch", "", "subscribe ", "Initialize", "OnConnected", "OnDisconnected", "onconnected", "Close", "Abort",
			"ConnectionID", "Context", "Items", "Clients", "Groups", "Logger", "unknown", "Подписаться", "a'b",
		} {
			for _, arguments := range [][]string{nil, {`"x"`}, {`"x"`, "false"}, {"null"}} {
				expect(t, c.invoke(t, "1", target, arguments...), "1 error Failed to invoke '"+target+
					"' due to an error on the server. HubException: Method does not exist.")
			}
		}
		for _, target := range []string{"unsubscribeall", "UNSUBSCRIBEALL", "UnsubscribeAll"} {
			expect(t, c.invoke(t, "1", target), `{"type":3,"invocationId":"1","result":true}`)
		}
		if n := r.metric(t, "rte_hub_invocations_total", "unknown", "invalid"); n != 4*18 {
			t.Errorf("%v unknown calls are counted", n)
		}
		r.noLoopEnded(t)
	})
}

func TestH8_unboundArgumentsAreRefusedLikeASPNET(t *testing.T) {
	deep := func(n int) string { return "[" + strings.Repeat("[", n) + strings.Repeat("]", n) + "]" }
	const failed, unexpected = "Failed to invoke '%s' due to an error on the server.",
		"An unexpected error occurred invoking '%s' on the server."
	for name, test := range map[string]struct {
		target    string
		arguments []string
		streaming bool
		streams   int
		want      string
	}{
		"NoArgument":            {target: "Subscribe", want: failed},
		"TwoArguments":          {target: "subscribe", arguments: []string{"[]", "[]"}, want: failed},
		"UnsubscribeNoArgument": {target: "Unsubscribe", want: failed},
		"ArgumentTooMany":       {target: "UnsubscribeAll", arguments: []string{"[]"}, want: failed},
		"ActiveWithArgument":    {target: "ActiveSubscriptions", arguments: []string{"[]"}, want: failed},
		"AvailableWithTwo":      {target: "AvailableSubscriptions", arguments: []string{"1", "2"}, want: failed},
		"Null":                  {target: "Subscribe", arguments: []string{"null"}, want: failed},
		"Object":                {target: "Subscribe", arguments: []string{"{}"}, want: failed},
		"Text":                  {target: "Subscribe", arguments: []string{`"[]"`}, want: failed},
		"Number":                {target: "Subscribe", arguments: []string{"5"}, want: failed},
		"ListOfNumbers":         {target: "Subscribe", arguments: []string{"[5]"}, want: failed},
		"ListOfLists":           {target: "Subscribe", arguments: []string{"[[]]"}, want: failed},
		"EntityIsNumber":        {target: "Subscribe", arguments: []string{`[{"EntityId":5}]`}, want: failed},
		"EventIsObject":         {target: "Subscribe", arguments: []string{`[{"EventName":{}}]`}, want: failed},
		"NotJSON":               {target: "Subscribe", arguments: []string{"[{]"}, want: failed},
		"Unfinished":            {target: "Subscribe", arguments: []string{`[{"EntityId":"`}, want: failed},
		"TwoValues":             {target: "Subscribe", arguments: []string{"[],[]"}, want: failed},
		"Separator":             {target: "Subscribe", arguments: []string{"[]\x1e[]"}, want: failed},
		"SeparatorInText":       {target: "Subscribe", arguments: []string{"[\"\x1e\"]"}, want: failed},
		"ClosesTheMessage": {
			target: "Subscribe", arguments: []string{`[]],"target":"Abort","arguments":[`}, want: failed,
		},
		"Empty": {target: "Subscribe", arguments: []string{""}, want: failed},
		"Deep":  {target: "Subscribe", arguments: []string{deep(62)}, want: failed},
		// encoding/json refuses more than 10,000 levels, and the library's loop would end.
		"DeeperThanTheLibraryReads": {target: "Subscribe", arguments: []string{deep(9_999)}, want: failed},
		"Streaming": {
			target: "subscribe", arguments: []string{"[]"}, streaming: true,
			want: "The client attempted to invoke the non-streaming '%s' method with a streaming invocation.",
		},
		"StreamingUnbound": {target: "Subscribe", streaming: true, want: failed},
		"StreamingUnknown": {target: "NoSuch", streaming: true, want: failed + " HubException: Method does not exist."},
		"Streams": {
			target: "Subscribe", arguments: []string{"[]"}, streams: 2,
			want: unexpected + " HubException: Client sent 2 stream(s), Hub method expects 0.",
		},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, hub.Options{}, func(t *testing.T, r *rig) {
				c := r.connect(t)
				inv := invocation("1", test.target, test.arguments...)
				inv.Streaming, inv.Streams = test.streaming, test.streams
				c.Invoke(t.Context(), inv)
				synctest.Wait()
				expect(t, c.lines(), "1 error "+fmt.Sprintf(test.want, test.target))
				r.noLoopEnded(t)
			})
		})
	}
}

// Arguments that the transport could not read closed the connection, where ASP.NET Core fails the call alone.
func TestInvoke_malformedArgumentsFailTheCall(t *testing.T) {
	run(t, hub.Options{}, func(t *testing.T, r *rig) {
		c := r.connect(t)
		for _, target := range []string{"Subscribe", "unsubscribeall", "AvailableSubscriptions"} {
			c.Invoke(t.Context(), &hub.Invocation{ID: "1", Target: target, Malformed: true})
			c.Invoke(t.Context(), &hub.Invocation{ID: "2", Target: target, Malformed: true, Streaming: true, Streams: 1})
			c.Invoke(t.Context(), &hub.Invocation{Target: target, Malformed: true})
			synctest.Wait()
			failed := " error Failed to invoke '" + target + "' due to an error on the server."
			expect(t, c.lines(), "1"+failed, "2"+failed)
		}
		for _, target := range []string{"NoSuch", ""} {
			c.Invoke(t.Context(), &hub.Invocation{ID: "3", Target: target, Malformed: true})
			synctest.Wait()
			expect(t, c.lines(), "3 error Failed to invoke '"+target+
				"' due to an error on the server. HubException: Method does not exist.")
		}
	})
}

func TestInvoke_detailedErrorsHaveTheReason(t *testing.T) {
	const binding = "Failed to invoke 'Subscribe' due to an error on the server. InvalidDataException: " +
		"Error binding arguments. Make sure that the types of the provided values match the types of the hub method being " +
		"invoked."
	panics := deciding(
		nil, func(context.Context, *authz.Claims, []authz.Request) []authz.Decision { panic("the secret is 42") },
	)
	o := hub.Options{
		DetailedErrors: true, Authorization: panics, Logger: zap.NewNop(), Limits: hub.Limits{ArgumentBytes: 100},
	}
	run(t, o, func(t *testing.T, r *rig) {
		c := r.connect(t)
		expect(t, c.invoke(t, "1", "Subscribe"), "1 error Failed to invoke 'Subscribe' due to an error on the server. "+
			"InvalidDataException: Invocation provides 0 argument(s) but target expects 1.")
		expect(t, c.invoke(
			t, "1", "UnsubscribeAll", "1", "2",
		), "1 error Failed to invoke 'UnsubscribeAll' due to an error on "+
			"the server. InvalidDataException: Invocation provides 2 argument(s) but target expects 0.")
		expect(t, c.invoke(t, "1", "Subscribe", "5"), "1 error "+binding)
		c.Invoke(t.Context(), &hub.Invocation{ID: "1", Target: "Subscribe", Malformed: true})
		synctest.Wait()
		expect(t, c.lines(), "1 error "+binding)
		expect(t, c.invoke(t, "1", "Subscribe", items(1, 2)), "1 error Failed to invoke 'Subscribe' due to an error on the "+
			"server. InvalidDataException: The argument has more than 100 bytes.")
		expect(t, c.invoke(
			t, "1", "Subscribe", items(1),
		), "1 error An unexpected error occurred invoking 'Subscribe' on the "+
			"server. InvalidOperationException: The call failed.")
	})
}

func TestH9_callsOfASessionRunOneAtATime(t *testing.T) {
	var running atomic.Int32
	var mu sync.Mutex
	var order, answered []string // guarded by mu
	r := newRig(t, hub.Options{Authorization: deciding(nil,
		func(ctx context.Context, c *authz.Claims, requests []authz.Request) []authz.Decision {
			if running.Add(1) > 1 {
				t.Error("two at a time")
			}
			mu.Lock()
			order = append(order, requests[0].EventName)
			mu.Unlock()
			runtime.Gosched()
			running.Add(-1)
			return allowAll(ctx, c, requests)
		})})
	defer r.start(t)()
	all := make(chan struct{})
	c := r.connectWith(t, &conn{onFrame: func(line string) {
		if _, rest, ok := strings.Cut(line, `"invocationId":"`); ok {
			name, _, _ := strings.Cut(rest, `"`)
			mu.Lock()
			answered = append(answered, name)
			mu.Unlock()
		}
		if line == "close client" {
			close(all)
		}
	}})
	var callers sync.WaitGroup
	for n := range 8 {
		callers.Go(func() {
			for m := range 20 {
				name := fmt.Sprintf("event%d.%d", n, m)
				c.Invoke(t.Context(), invocation(name, "Subscribe", `[{"EventName":"`+name+`"}]`))
			}
		})
	}
	callers.Wait()
	c.Close(hub.CloseByClient)
	<-all
	if len(answered) != 160 || !slices.Equal(order, answered) {
		t.Errorf("run %v, answered %v", order, answered)
	}
}

func TestH9_eightSessionsRunInParallel(t *testing.T) {
	gate := make(chan struct{})
	o := hub.Options{Pool: 8, Authorization: deciding(nil,
		func(ctx context.Context, c *authz.Claims, r []authz.Request) []authz.Decision {
			<-gate
			return allowAll(ctx, c, r)
		})}
	synctest.Test(t, func(t *testing.T) {
		gate = make(chan struct{}) // of this bubble
		r := newRig(t, o)
		defer r.start(t)()
		var callers sync.WaitGroup
		clients := make([]*client, 9)
		for n := range clients {
			clients[n] = r.connect(t)
			callers.Go(func() { clients[n].Invoke(t.Context(), invocation("1", "Subscribe", items(n))) })
		}
		synctest.Wait()
		if n := r.metric(t, "rte_hub_pool_busy"); n != 8 {
			t.Errorf("%v run at once", n)
		}
		close(gate)
		callers.Wait()
		synctest.Wait()
		for n, c := range clients {
			expect(t, c.lines(), results("1", []int{n}))
			c.Close(hub.CloseGone)
		}
		synctest.Wait()
		r.nothingLeft(t)
	})
}

func TestH10_panicIsOneErrorWithoutItsText(t *testing.T) {
	core, logs := observer.New(zapcore.WarnLevel)
	cause := any("the secret is 42")
	o := hub.Options{Logger: zap.New(core), Authorization: deciding(nil,
		func(ctx context.Context, c *authz.Claims, r []authz.Request) []authz.Decision {
			if r[0].EntityID == "panic" {
				panic(cause)
			}
			return allowAll(ctx, c, r)
		})}
	run(t, o, func(t *testing.T, r *rig) {
		c := r.connect(t)
		for range 3 {
			expect(t, c.invoke(t, "1", "subscribe", `[{"EntityId":"panic"}]`),
				"1 error An unexpected error occurred invoking 'subscribe' on the server.")
			expect(t, c.invoke(t, "", "Subscribe", `[{"EntityId":"panic"}]`))
		}
		expect(t, c.invoke(t, "2", "Subscribe", items(1)), results("2", []int{1}))
		r.noLoopEnded(t)
		if n := r.metric(t, "rte_hub_invocations_total", "Subscribe", "failed"); n != 6 {
			t.Errorf("%v calls are counted as failed", n)
		}
		if logs.FilterMessage("hub method panicked").Len() != 6 {
			t.Errorf("log: %v", logs.All())
		}
		for _, entry := range logs.All() {
			if strings.Contains(fmt.Sprint(entry), "42") {
				t.Errorf("the log quotes the panic: %v", entry)
			}
		}
	})
}

func TestH13_messagePackAnswersComeFromTheResult(t *testing.T) {
	run(t, hub.Options{}, func(t *testing.T, r *rig) {
		c := r.connectWith(t, &conn{protocol: fanout.ProtocolMessagePack})
		expect(t, c.invoke(t, "1", "Subscribe", items(1)), "1 result []hub.SubscriptionResult")
		expect(t, c.invoke(t, "2", "Unsubscribe", items(1)), "2 result []hub.SubscriptionResult")
		expect(t, c.invoke(t, "3", "UnsubscribeAll"), "3 result bool")
		expect(t, c.invoke(t, "4", "AvailableSubscriptions"), "4 result []string")
		expect(t, c.invoke(t, "5", "ActiveSubscriptions"), "5 result hub.SubscriptionList")
	})
}

func TestH19_runEndsAfterTheCallsItHasBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, hub.Options{Authorization: deciding(nil,
			func(ctx context.Context, c *authz.Claims, requests []authz.Request) []authz.Decision {
				time.Sleep(time.Second)
				return allowAll(ctx, c, requests)
			})})
		dispatcher, stopDispatcher := context.WithCancel(t.Context())
		ctx, stop := context.WithCancel(t.Context())
		var running, pool sync.WaitGroup
		running.Go(func() { _ = r.dispatcher.Run(dispatcher) })
		pool.Go(func() { _ = r.Run(ctx) })

		c := r.connect(t)
		running.Go(func() { c.Invoke(t.Context(), invocation("1", "Subscribe", items(1))) })
		synctest.Wait()
		stop()
		pool.Wait()
		synctest.Wait()
		expect(t, c.lines(), results("1", []int{1}))
		// The library's Close message is dropped, and later calls are answered.
		expect(t, c.invoke(t, "2", "UnsubscribeAll"),
			"2 error An unexpected error occurred invoking 'UnsubscribeAll' on the server.")
		c.Close(hub.CloseDrain)
		synctest.Wait()
		r.nothingLeft(t)
		stopDispatcher()
		running.Wait()
	})
}
