package node

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/backplane"
)

// channels is a backplane.Control that passes messages between nodes of one process.
type channels struct {
	backplane.Control

	mu      sync.Mutex
	byName  map[string][]func([]byte) // guarded by mu
	refused int
}

// add adds a subscriber of a channel.
func (w *channels) add(channel string, receive func([]byte)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.byName[channel] = append(w.byName[channel], receive)
}

// Subscribe implements backplane.Control.
func (w *channels) Subscribe(channel string, message func([]byte), missed func()) {
	w.add(channel, message)
	if missed != nil {
		missed()
	}
}

// Send implements backplane.Control.
func (w *channels) Send(ctx context.Context, channel string, message []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w.mu.Lock()
	all := slices.Clone(w.byName[channel])
	w.mu.Unlock()
	for _, receive := range all {
		receive(message)
	}
	return nil
}

// join adds a node with a secret to the channels. A node without an answer is silent.
func (w *channels) join(ctx context.Context, t *testing.T, name, secret, answer string, others ...string) *nodeQueries {
	t.Helper()
	q := newNodeQueries(name, w, func() []string { return others },
		func(ctx context.Context, _ []byte) []byte {
			if answer == "" {
				<-ctx.Done()
			}
			return []byte(`"` + answer + `"`)
		}, nil, zap.NewNop())
	if err := q.setSecrets([]byte(secret)); err != nil {
		t.Fatal(err)
	}
	for _, channel := range []string{backplane.QueryChannel, backplane.AnswerChannel(name)} {
		w.add(channel, func(message []byte) {
			if q.receive(message) != nil {
				w.refused++
			}
		})
	}
	go func() { _ = q.run(ctx) }()
	synctest.Wait()
	return q
}

func TestNodeQueries_nameTheNodesThatDoNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer synctest.Wait()
		defer stop()
		w := &channels{byName: map[string][]func([]byte){}}
		first := w.join(ctx, t, "a", "secret", "of a", "b", "c", "gone")
		w.join(ctx, t, "b", "secret", "of b")
		w.join(ctx, t, "c", "another secret", "of c")

		began := time.Now()
		replies := first.request(ctx, []byte(`{}`))
		if string(replies.Answers["b"]) != `"of b"` || len(replies.Answers) != 1 ||
			len(replies.Silent) != 2 || replies.Silent[0] != "c" || time.Since(began) != queryTimeout {
			t.Errorf("after %s: %s, silent %v", time.Since(began), replies.Answers, replies.Silent)
		}
		if w.refused == 0 {
			t.Error("a node with another secret took the query")
		}
		// No query waits twice in a row for a node that does not answer.
		began = time.Now()
		if replies = first.request(ctx, []byte(`{}`)); time.Since(began) != 0 || len(replies.Silent) != 2 ||
			len(replies.Answers) != 1 {
			t.Errorf("the second query took %s: %v", time.Since(began), replies)
		}
	})
}

// The secret of queries needed a restart. Each step of a rotation reaches one node after the other.
func TestNodeQueries_answerWhileTheSecretRotates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer synctest.Wait()
		defer stop()
		w := &channels{byName: map[string][]func([]byte){}}
		nodes := []*nodeQueries{
			w.join(ctx, t, "a", "first", "of a", "b"), w.join(ctx, t, "b", "first", "of b", "a"),
		}
		for _, step := range []struct{ secret, previous string }{{"first", "second"}, {"second", "first"}, {"second", ""}} {
			for i, node := range nodes {
				if err := node.setSecrets([]byte(step.secret), []byte(step.previous)); err != nil {
					t.Fatal(err)
				}
				for _, requesting := range nodes {
					if replies := requesting.request(ctx, []byte(`{}`)); len(replies.Answers) != 1 {
						t.Errorf("%v at node %d: %s gets %d answers", step, i, requesting.name, len(replies.Answers))
					}
				}
			}
		}
		if w.refused > 0 {
			t.Errorf("%d messages were refused", w.refused)
		}
		if err := nodes[0].setSecrets(nil, nil); err == nil {
			t.Error("took no secret")
		}
		if err := nodes[0].setSecrets([]byte("third"), nil); err != nil {
			t.Fatal(err)
		}
		if replies := nodes[0].request(ctx, []byte(`{}`)); len(replies.Answers) > 0 {
			t.Error("a node with another secret answered")
		}
	})
}

func TestNodeQueries_refuseOldMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer synctest.Wait()
		defer stop()
		w := &channels{byName: map[string][]func([]byte){}}
		q := w.join(ctx, t, "a", "secret", "of a")
		other := w.join(ctx, t, "b", "secret", "of b")
		message := other.seal(&nodeMessage{Kind: isQuery, Number: "1", Body: []byte(`{}`)})
		if err := q.receive(message); err != nil {
			t.Error(err)
		}
		time.Sleep(maxQueryAge + time.Second)
		if q.receive(message) == nil {
			t.Error("took an old message")
		}
	})
}
