package node

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/backplane"
)

const (
	// leaseTime is how long a node serves a stream of another one that does not renew it, renewInterval the time between
	// two renewals. A node that starts meanwhile gets the next one.
	leaseTime, renewInterval = 15 * time.Second, 5 * time.Second
	// sendTimeout bounds the sending of one message of a stream.
	sendTimeout = 2 * time.Second
	// maxServed bounds the streams of other nodes that this node serves, maxFollowed the streams that it follows.
	maxServed, maxFollowed = 32, 32
)

// nodeStreams are streams between this node and the others: a node that follows one leases it from all others, and each
// sends batches until the lease ends. Its methods may be called from any goroutine.
type nodeStreams struct {
	queries *nodeQueries // authenticates and carries the messages
	serve   func(ctx context.Context, request []byte, send func(context.Context, []byte) error)
	serving sync.WaitGroup

	mu       sync.Mutex // guards the following fields
	served   map[string]*lease
	followed map[string]func(node string, batch []byte) // by the number of the stream
}

// lease is a stream that this node serves.
type lease struct {
	cancel context.CancelFunc
	expiry *time.Timer // calls cancel
}

func newNodeStreams(
	q *nodeQueries, serve func(ctx context.Context, request []byte, send func(context.Context, []byte) error),
) *nodeStreams {
	return &nodeStreams{
		queries: q, serve: serve, served: map[string]*lease{}, followed: map[string]func(string, []byte){},
	}
}

// follow leases a stream from all other nodes until ctx ends. It calls take with each batch, one at a time; take must
// not wait.
func (s *nodeStreams) follow(ctx context.Context, request []byte, take func(node string, batch []byte)) {
	number := rand.Text()
	if !s.enter(number, take) {
		return
	}
	defer s.leave(number)
	body, _ := json.Marshal(string(request)) // a string can always be encoded
	ticker := time.NewTicker(checkInterval)
	defer ticker.Stop()
	var known []string
	for sent := (time.Time{}); ; {
		nodes := s.queries.others()
		if joined := !slices.Equal(nodes, known); joined || time.Since(sent) >= renewInterval {
			s.send(ctx, backplane.QueryChannel, &nodeMessage{Kind: isFollow, Number: number, Body: body})
			known, sent = nodes, time.Now()
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			s.send(context.WithoutCancel(ctx), backplane.QueryChannel, &nodeMessage{Kind: isUnfollow, Number: number})
			return
		}
	}
}

func (s *nodeStreams) enter(number string, take func(string, []byte)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.followed) >= maxFollowed {
		return false
	}
	s.followed[number] = take
	return true
}

func (s *nodeStreams) leave(number string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.followed, number)
}

// send sends a message of a stream. The other side notices losses: batches have numbers, and leases end.
func (s *nodeStreams) send(ctx context.Context, channel string, m *nodeMessage) {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	if err := s.queries.control.Send(ctx, channel, s.queries.seal(m)); err != nil && ctx.Err() == nil {
		s.queries.log.Warn("stream to other nodes interrupted", zap.Error(err))
	}
}

// arrived hands a batch to the follower of its stream.
func (s *nodeStreams) arrived(m *nodeMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if take := s.followed[m.Number]; take != nil {
		take(m.Node, m.Body)
	}
}

// requested begins to serve a stream of another node, or renews its lease. parent is the context of the node's queries.
func (s *nodeStreams) requested(parent context.Context, m *nodeMessage) {
	var request string
	if json.Unmarshal(m.Body, &request) != nil {
		return
	}
	key := m.Node + " " + m.Number
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.served[key]; l != nil {
		l.expiry.Reset(leaseTime)
		return
	}
	if len(s.served) >= maxServed {
		return
	}
	ctx, cancel := context.WithCancel(parent)
	s.served[key] = &lease{cancel, time.AfterFunc(leaseTime, cancel)}
	channel, number := backplane.AnswerChannel(m.Node), m.Number
	s.serving.Go(func() {
		defer s.ended(key)
		s.serve(ctx, []byte(request), func(ctx context.Context, batch []byte) error {
			s.send(ctx, channel, &nodeMessage{Kind: isBatch, Number: number, Body: batch})
			return ctx.Err()
		})
		<-ctx.Done() // a stream that ended early must not begin again with each renewal
	})
}

// ended forgets a stream that this node has served.
func (s *nodeStreams) ended(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.served[key].expiry.Stop()
	s.served[key].cancel()
	delete(s.served, key)
}

// unfollowed ends a stream that another node does not follow any more.
func (s *nodeStreams) unfollowed(m *nodeMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.served[m.Node+" "+m.Number]; l != nil {
		l.cancel()
	}
}
