package node

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/backplane"
)

// streaming is a node in a test that follows and serves streams.
type streaming struct {
	*nodeQueries

	others atomic.Pointer[[]string]
	served atomic.Int32 // streams that it serves
}

// stream adds a node that serves each stream with a batch per second.
func (w *channels) stream(ctx context.Context, t *testing.T, name string, others ...string) *streaming {
	t.Helper()
	s := &streaming{}
	s.others.Store(&others)
	q := newNodeQueries(name, w, func() []string { return *s.others.Load() }, nil,
		func(ctx context.Context, request []byte, send func(context.Context, []byte) error) {
			s.served.Add(1)
			defer s.served.Add(-1)
			ticker := time.NewTicker(time.Second)
			defer ticker.Stop()
			for {
				if send(ctx, fmt.Appendf(nil, "%q", string(request)+" by "+name)) != nil {
					return
				}
				select {
				case <-ticker.C:
				case <-ctx.Done():
					return
				}
			}
		}, zap.NewNop())
	if err := q.setSecrets([]byte("secret")); err != nil {
		t.Fatal(err)
	}
	s.nodeQueries = q
	for _, channel := range []string{backplane.QueryChannel, backplane.AnswerChannel(name)} {
		w.add(channel, func(message []byte) {
			if err := q.receive(message); err != nil {
				t.Error(err)
			}
		})
	}
	go func() { _ = q.run(ctx) }()
	synctest.Wait()
	return s
}

// batches collects the batches of a stream.
type batches struct {
	mu  sync.Mutex
	got []string
}

func (b *batches) take(_ string, batch []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.got = append(b.got, string(batch))
}

// since returns the batches since the last call, each once.
func (b *batches) since() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	got := slices.Compact(slices.Sorted(slices.Values(b.got)))
	b.got = nil
	return got
}

func TestNodeStreams_beginAndEndWithTheirFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer synctest.Wait()
		defer stop()
		w := &channels{byName: map[string][]func([]byte){}}
		a, b := w.stream(ctx, t, "a", "b"), w.stream(ctx, t, "b", "a")
		following, unfollow := context.WithCancel(ctx)
		var got batches
		go a.streams.follow(following, []byte("x=1"), got.take)
		time.Sleep(time.Minute) // longer than a lease
		synctest.Wait()
		if all := got.since(); !slices.Equal(all, []string{`"x=1 by b"`}) || b.served.Load() != 1 || a.served.Load() != 0 {
			t.Errorf("got %v, b serves %d", all, b.served.Load())
		}
		// A node that starts later gets the request, too, at the next look at the list of nodes.
		c := w.stream(ctx, t, "c", "a", "b")
		a.others.Store(&[]string{"b", "c"})
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if all := got.since(); !slices.Equal(all, []string{`"x=1 by b"`, `"x=1 by c"`}) {
			t.Errorf("with a third node got %v", all)
		}
		unfollow()
		synctest.Wait()
		got.since()
		time.Sleep(5 * time.Second)
		if all := got.since(); len(all) > 0 || b.served.Load() != 0 || c.served.Load() != 0 || len(b.streams.served) != 0 {
			t.Errorf("after the end got %v, b serves %d, c %d", all, b.served.Load(), c.served.Load())
		}
	})
}

// A node that dies sends no end: its streams must not run for ever.
func TestNodeStreams_endWithTheirLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer synctest.Wait()
		defer stop()
		w := &channels{byName: map[string][]func([]byte){}}
		a, b := w.stream(ctx, t, "a", "b"), w.stream(ctx, t, "b", "a")
		follow := func(n int) {
			message := a.seal(&nodeMessage{Kind: isFollow, Number: fmt.Sprint(n), Body: []byte(`"x"`)})
			if err := b.receive(message); err != nil {
				t.Fatal(err)
			}
		}
		follow(0)
		synctest.Wait()
		if b.served.Load() != 1 {
			t.Fatal("the stream is not served")
		}
		time.Sleep(leaseTime - time.Second)
		follow(0)
		time.Sleep(leaseTime - time.Second)
		synctest.Wait()
		if b.served.Load() != 1 {
			t.Error("the renewed lease has ended")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if b.served.Load() != 0 {
			t.Error("the stream goes on without a lease")
		}
		for n := range 2 * maxServed {
			follow(n)
		}
		synctest.Wait()
		if n := b.served.Load(); n != maxServed {
			t.Errorf("%d streams are served, want %d", n, maxServed)
		}
		for n := range maxFollowed {
			if !a.streams.enter(fmt.Sprint(n), nil) {
				t.Fatalf("stream %d is not followed", n)
			}
		}
		a.streams.follow(ctx, nil, nil) // returns at once
	})
}

// FuzzNodeQueries_receive takes any message on the channels of nodes.
func FuzzNodeQueries_receive(f *testing.F) {
	w := &channels{byName: map[string][]func([]byte){}}
	q := newNodeQueries("a", w, func() []string { return nil },
		func(context.Context, []byte) []byte { return nil },
		func(context.Context, []byte, func(context.Context, []byte) error) {}, zap.NewNop())
	other := newNodeQueries("b", w, nil, nil, nil, zap.NewNop())
	for _, node := range []*nodeQueries{q, other} {
		if err := node.setSecrets([]byte("secret")); err != nil {
			f.Fatal(err)
		}
	}
	for _, kind := range []messageKind{isQuery, isAnswer, isFollow, isUnfollow, isBatch, "?"} {
		f.Add(other.seal(&nodeMessage{Kind: kind, Number: "1", Body: []byte(`"x"`)}), false)
		f.Add([]byte(`{"kind":"`+kind+`","node":"b","sent":"2026-01-02T15:04:05Z"}`), true)
	}
	f.Fuzz(func(t *testing.T, message []byte, authentic bool) {
		if authentic {
			message = append(messageMAC((*q.keys.Load())[0], message), message...)
		}
		if err := q.receive(message); err == nil && len(message) < 32 {
			t.Errorf("took %q", message)
		}
	})
}
