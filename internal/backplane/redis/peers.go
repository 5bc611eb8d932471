package redis

import (
	"context"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/backplane/redis/command"
	"github.com/rte-server/rte-server/internal/backplane/redis/peer"
	"github.com/rte-server/rte-server/internal/backplane/sequence"
	"github.com/rte-server/rte-server/internal/events"
)

// newExchange makes this node's part in the exchange of peer queries and answers.
func (b *Backplane) newExchange() *peer.Exchange {
	return peer.NewExchange(peer.Options{
		Node: b.node, Prefix: b.options.Layout.Prefix, Jitter: b.options.Jitter, Patience: b.options.PeerTimeout,
		Find: func(name string) peer.Lane {
			if l := b.index.find(name); l != nil {
				return l
			}
			return nil
		},
		Received:   func(l peer.Lane, p *peer.Part) { b.post(l.(*lane), peerPart{p}) },
		Unanswered: func(l peer.Lane, a sequence.Answer) { b.post(l.(*lane), &unanswered{a}) },
		Subscribe: func(channel string, message func(payload []byte), missed func()) (confirmed func() bool) {
			l := b.index.subscribeChannel(channel, message, missed)
			return func() bool {
				done, _, refused := b.index.state(l)
				return done && refused == nil
			}
		},
		Publish: b.publishToPeers,
	})
}

// publishToPeers publishes messages, those through the same client in order.
func (b *Backplane) publishToPeers(ctx context.Context, messages []peer.Message) {
	ctx, cancel := context.WithTimeout(ctx, b.options.CommandTimeout)
	defer cancel()
	pipes := map[goredis.UniversalClient]goredis.Pipeliner{}
	results := make([]*goredis.IntCmd, len(messages))
	for i, m := range messages {
		client := b.commands.For(m.Channel)
		pipe := pipes[client]
		if pipe == nil {
			pipe = client.Pipeline()
			pipes[client] = pipe
		}
		results[i] = command.Publish(ctx, pipe, b.options.Cluster, m.Channel, m.Payload)
	}
	for _, pipe := range pipes {
		if _, err := pipe.Exec(ctx); err != nil && ctx.Err() == nil {
			b.log.Warn("peer messages not published", func() []zap.Field { return []zap.Field{zap.Error(err)} })
		}
	}
	for i := range messages {
		messages[i].Receivers, messages[i].Err = results[i].Result()
	}
}

// unanswered ends the wait of a lane for other nodes: none of them knows the events.
type unanswered struct{ sequence.Answer }

func (n *unanswered) run(w *worker, l *lane, now time.Time) { l.sequence.Answer(w, now, &n.Answer) }

// peerPart brings a part of the answer of another node to its lane.
type peerPart struct{ *peer.Part }

func (n peerPart) run(w *worker, l *lane, now time.Time) {
	w.answered(l, now, l.conversation.Part(w.b.peers, l, n.Part, func(data []byte) (events.Event, bool) {
		return w.b.receiver.Decode(l.organization, data)
	}))
}

// peerMessage takes a peer query or an announcement on the lane.
func (w *worker) peerMessage(l *lane, en *entry, now time.Time) {
	w.answered(l, now, l.conversation.Message(w.b.peers, l, en.payload, now, func(q *peer.Query) ([][]byte, bool) {
		data, ok := l.recent.Answer(q, en.era)
		return data, ok && !l.sequence.Repairing()
	}))
}

// answered completes the repair of a lane with the answer of another node; nil: it is not complete.
func (w *worker) answered(l *lane, now time.Time, a *sequence.Answer) {
	if a == nil {
		return
	}
	w.b.metrics.peerAnswers.Inc()
	l.sequence.Answer(w, now, a)
}
