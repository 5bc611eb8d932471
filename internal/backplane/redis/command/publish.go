package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/events"
)

// An event with an Id is published this often until it gets through: nodes recognize it by its Id if it comes twice. An
// event without an Id is published once.
const (
	publishTries = 4
	publishPause = 50 * time.Millisecond
)

// Publish implements backplane.Publisher. Redis adds the event to the journal of its lane and publishes it in one step.
func (c *Client) Publish(ctx context.Context, data []byte) error {
	ev, err := c.options.Catalog.Decode(data)
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	tries := publishTries
	if ev.ID == (events.ID{}) {
		tries = 1
	}
	for pause := publishPause; ; pause *= 2 {
		err := c.publish(ctx, &ev)
		tries--
		switch {
		case err == nil:
			return nil
		case Refused(err):
			return c.refusal(&ev, err)
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

// refusal returns the error of an event that Redis refuses. It names the keys if one of them has the wrong type.
func (c *Client) refusal(ev *events.Event, err error) error {
	if !wrongType(err) {
		return fmt.Errorf("publish: %w: %w", backplane.ErrRefused, err)
	}
	lane := c.options.Layout.Lane(ev.Organization, ev.Entity)
	return fmt.Errorf("publish: %w: %w: %s or %s: %w",
		backplane.ErrRefused, backplane.ErrWrongType, JournalKey(lane), CounterKey(lane), err)
}

// publication is a call of the function that publishes an event.
type publication struct {
	client goredis.UniversalClient
	keys   []string
	args   []any
	once   bool // nodes would not recognize the event if it came twice
}

// publicationOf returns the call that publishes an event.
func (c *Client) publicationOf(ev *events.Event) publication {
	lane := c.options.Layout.Lane(ev.Organization, ev.Entity)
	p := publication{
		client: c.For(lane),
		keys:   []string{JournalKey(lane), CounterKey(lane)},
		args:   []any{lane, ev.Data, c.options.JournalLength, 0, c.publishWord()},
		once:   ev.ID == (events.ID{}),
	}
	if d := c.options.Catalog.Definition(ev.Type); d != nil && d.State() {
		p.keys = append(p.keys, StateKey(lane, d, ev.Topic))
		p.args[3] = int(backplane.StateTTL(ev) / time.Second) // 0: the function deletes the old state
		if d.Several() {
			p.args = append(p.args, c.options.Catalog.StateName(ev))
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

// once is a command that go-redis does not repeat. The cluster client would repeat it, whatever its settings, even if
// Redis may have executed the command.
type once struct{ *goredis.Cmd }

func (once) NoRetry() bool { return true }

// publish calls the function. It loads the library into a server that lacks it, and uses the script on a server that
// has no functions, or does not load any.
func (c *Client) publish(ctx context.Context, ev *events.Event) error {
	p := c.publicationOf(ev)
	err := p.on(ctx, p.client).Err()
	if noFunction(err) {
		if err = c.loadFor(ctx, p.client, p.keys[0]); err == nil {
			return p.on(ctx, p.client).Err()
		}
	}
	if Unsupported(err) {
		return c.script.Run(ctx, p.client, p.keys, p.args...).Err()
	}
	return err
}

// loadFor loads the library into the server of a key.
func (c *Client) loadFor(ctx context.Context, client goredis.UniversalClient, key string) error {
	if cluster, ok := client.(*goredis.ClusterClient); ok {
		master, err := cluster.MasterForKey(ctx, key)
		if err != nil {
			return err
		}
		return master.FunctionLoadReplace(ctx, Functions()).Err()
	}
	return client.FunctionLoadReplace(ctx, Functions()).Err()
}
