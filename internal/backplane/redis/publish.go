package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/events"
)

// Publishing is tried this often if an event has an Id, by which nodes know it when it comes twice, and once if not.
const (
	publishTries = 4
	publishPause = 50 * time.Millisecond
)

// Publish adds an event to the journal of its lane and sends it, in one step of Redis.
func (b *Backplane) Publish(ctx context.Context, data []byte) error {
	ev, err := b.options.Catalog.Decode(data)
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	tries := publishTries
	if ev.ID == (events.ID{}) {
		tries = 1
	}
	for pause := publishPause; ; pause *= 2 {
		err := b.publish(ctx, &ev)
		tries--
		switch {
		case err == nil:
			return nil
		case refused(err):
			return fmt.Errorf("publish: %w: %w", backplane.ErrRefused, err)
		case tries == 0:
			return fmt.Errorf("publish: %w: %w", backplane.ErrUnavailable, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("publish: %w: %w", backplane.ErrUnavailable, errors.Join(ctx.Err(), err))
		case <-time.After(pause):
		}
	}
}

// publication is a call of the function that publishes an event.
type publication struct {
	client goredis.UniversalClient
	keys   []string
	args   []any
	once   bool // nodes would not know it if it came twice
}

// publicationOf is what publishes an event.
func (b *Backplane) publicationOf(ev *events.Event) publication {
	lane := b.options.Layout.Lane(ev.Organization, ev.Entity)
	p := publication{
		client: b.commands(lane),
		keys:   []string{journalKey(lane), counterKey(lane)},
		args:   []any{lane, ev.Data, b.options.JournalLength, 0, b.options.publishWord()},
		once:   ev.ID == (events.ID{}),
	}
	if d := b.options.Catalog.Definition(ev.Type); d != nil && d.State() {
		p.keys = append(p.keys, stateKey(lane, d, ev.Topic))
		p.args[3] = int(backplane.StateTTL(ev) / time.Second) // 0: what it replaces is deleted
		if d.Several() {
			p.args = append(p.args, b.options.Catalog.StateName(ev))
		}
	}
	return p
}

// on calls the function.
func (p *publication) on(ctx context.Context, client processor) *goredis.Cmd {
	args := []any{"fcall", "rte_publish", len(p.keys)}
	for _, key := range p.keys {
		args = append(args, key)
	}
	call := goredis.NewCmd(ctx, append(args, p.args...)...)
	call.SetFirstKeyPos(3)
	if p.once {
		_ = client.Process(ctx, once{call})
	} else {
		_ = client.Process(ctx, call)
	}
	return call
}

// processor is a client or a pipeline.
type processor interface {
	Process(ctx context.Context, command goredis.Cmder) error
}

// once is a command that go-redis does not repeat. For a cluster it would, whatever the settings are, also if the command
// may have been carried out.
type once struct{ *goredis.Cmd }

func (once) NoRetry() bool { return true }

// publish calls the function, which is loaded if the server does not have it, or does the same by a script if the
// server has no functions.
func (b *Backplane) publish(ctx context.Context, ev *events.Event) error {
	p := b.publicationOf(ev)
	err := p.on(ctx, p.client).Err()
	switch {
	case noFunction(err):
		if err := b.loadFor(ctx, p.client, p.keys[0]); err != nil {
			return err
		}
		return p.on(ctx, p.client).Err()
	case noFunctions(err):
		return b.script.Run(ctx, p.client, p.keys, p.args...).Err()
	}
	return err
}

// loadFor loads the functions into the server that has a key.
func (b *Backplane) loadFor(ctx context.Context, client goredis.UniversalClient, key string) error {
	if cluster, ok := client.(*goredis.ClusterClient); ok {
		master, err := cluster.MasterForKey(ctx, key)
		if err != nil {
			return err
		}
		return master.FunctionLoadReplace(ctx, Functions()).Err()
	}
	return client.FunctionLoadReplace(ctx, Functions()).Err()
}

// send publishes a message on a Redis channel, without a journal.
func (b *Backplane) send(ctx context.Context, client goredis.UniversalClient, channel string, payload any) error {
	if b.options.Cluster {
		return client.SPublish(ctx, channel, payload).Err()
	}
	return client.Publish(ctx, channel, payload).Err()
}

// publishWord is the command that brings a message to the subscribers.
func (o *Options) publishWord() string {
	if o.Cluster {
		return "SPUBLISH"
	}
	return "PUBLISH"
}
