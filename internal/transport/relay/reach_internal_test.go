package relay

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// A node counts as away if it answered nothing for some time, for as long again; one failure among answers of a busy
// node does not matter.
func TestReachable_followsAnswersAndFailures(t *testing.T) {
	all := []string{"a:1", "b:1"}
	for name, test := range map[string]struct {
		happens func(r *Relay)
		want    []string
	}{
		"nothing":     {func(*Relay) {}, all},
		"one failure": {func(r *Relay) { r.failed(context.Background(), "a:1") }, all},
		"failures at once": {func(r *Relay) {
			for range 100 {
				r.failed(context.Background(), "a:1")
			}
		}, all},
		"failures for some time": {func(r *Relay) { failFor(r, awayTime) }, all[1:]},
		"failures for less":      {func(r *Relay) { failFor(r, awayTime-1) }, all},
		"an answer between": {func(r *Relay) {
			r.failed(context.Background(), "a:1")
			time.Sleep(awayTime)
			r.answered("a:1")
			r.failed(context.Background(), "a:1")
		}, all},
		"an answer of another node": {func(r *Relay) {
			r.failed(context.Background(), "a:1")
			time.Sleep(awayTime)
			r.answered("b:1")
			r.failed(context.Background(), "a:1")
		}, all[1:]},
		"an answer afterwards": {func(r *Relay) { failFor(r, awayTime); r.answered("a:1") }, all},
		"a long time afterwards": {func(r *Relay) {
			failFor(r, awayTime)
			time.Sleep(awayTime + 1)
		}, all},
		"just before": {func(r *Relay) {
			failFor(r, awayTime)
			time.Sleep(awayTime)
		}, all[1:]},
		"two failures with much time between": {func(r *Relay) {
			r.failed(context.Background(), "a:1")
			time.Sleep(doubtTime + 1)
			r.reachable()
			r.failed(context.Background(), "a:1")
		}, all},
		"requests that were given up": {func(r *Relay) {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			r.failed(ctx, "a:1")
			time.Sleep(awayTime)
			r.failed(ctx, "a:1")
		}, all},
		"requests that took too long": {func(r *Relay) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
			defer cancel()
			time.Sleep(time.Millisecond)
			r.failed(ctx, "a:1")
			time.Sleep(awayTime)
			r.failed(ctx, "a:1")
		}, all[1:]},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, err := New(Options{
					Secret: []byte("the secret of all nodes, 32 bytes"), Peers: func() []string { return all },
				})
				if err != nil {
					t.Fatal(err)
				}
				test.happens(r)
				if got := r.reachable(); !slices.Equal(got, test.want) {
					t.Errorf("reachable are %v, want %v", got, test.want)
				}
			})
		})
	}
}

func failFor(r *Relay, d time.Duration) {
	r.failed(context.Background(), "a:1")
	time.Sleep(d)
	r.failed(context.Background(), "a:1")
}

// Places are bounded; the end of one makes room. Move leaves requests that end soon alone, Close does not, and nothing
// begins after Close.
func TestPlaces_areBoundedAndEnd(t *testing.T) {
	r, err := New(Options{
		Secret: []byte("the secret of all nodes, 32 bytes"), Peers: func() []string { return nil }, Connections: 3,
	})
	if err != nil {
		t.Fatal(err)
	}
	var ended []string
	take := func(name string, short bool) *place {
		p := r.reserve()
		if p == nil {
			return nil
		}
		if !r.occupy(p, func() { ended = append(ended, name) }, short) {
			t.Errorf("%s may not begin", name)
		}
		return p
	}
	socket, post, waiting := take("socket", false), take("post", true), r.reserve()
	if socket == nil || post == nil || waiting == nil || r.reserve() != nil {
		t.Fatal("there is room for another number than 3")
	}
	r.Move(t.Context(), time.Millisecond)
	if !slices.Equal(ended, []string{"socket"}) {
		t.Errorf("moved %v", ended)
	}
	r.release(socket)
	if take("next", false) == nil || r.reserve() != nil {
		t.Error("the end of one makes no room for one")
	}
	ended = nil
	r.Close()
	if slices.Sort(ended); !slices.Equal(ended, []string{"next", "post"}) {
		t.Errorf("closed %v", ended)
	}
	r.release(post)
	if r.reserve() != nil || r.occupy(waiting, func() {}, false) || r.begin(1) {
		t.Error("something begins after Close")
	}
}
