package command

import (
	"context"
	"errors"
	"fmt"

	goredis "github.com/redis/go-redis/v9"

	"github.com/rte-server/rte-server/internal/events"
)

// Documents implements backplane.Documents. It needs one round trip however many ids there are: one MGET, or one to
// each of several servers at the same time.
func (c *Client) Documents(ctx context.Context, ids []events.ID, documents [][]byte) error {
	if len(ids) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	var err error
	switch {
	case c.options.Cluster != nil:
		err = c.pipelined(ctx, c.options.Cluster, ids, documents)
	case len(c.options.Servers) == 1:
		err = c.together(ctx, c.options.Servers[0].Client, ids, documents)
	default:
		err = c.documentsOfServers(ctx, ids, documents)
	}
	if err != nil {
		return fmt.Errorf("read directory: %w", err)
	}
	return nil
}

// together reads with one command.
func (c *Client) together(
	ctx context.Context, client goredis.UniversalClient, ids []events.ID, documents [][]byte,
) error {
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = c.documentKey(id)
	}
	values, err := client.MGet(ctx, keys...).Result()
	if err != nil {
		return err
	}
	for i, value := range values {
		documents[i] = nil
		if text, ok := value.(string); ok {
			documents[i] = []byte(text)
		}
	}
	return nil
}

// pipelined reads each document with its own command, as the keys have different slots. The client sends the commands
// for one server together, and to all servers at the same time.
func (c *Client) pipelined(
	ctx context.Context, client *goredis.ClusterClient, ids []events.ID, documents [][]byte,
) error {
	pipe := client.Pipeline()
	commands := make([]*goredis.StringCmd, len(ids))
	for i, id := range ids {
		commands[i] = pipe.Get(ctx, c.documentKey(id))
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	for i, command := range commands {
		text, err := command.Bytes()
		switch {
		case errors.Is(err, goredis.Nil), goredis.HasErrorPrefix(err, "WRONGTYPE"):
			documents[i] = nil // MGET does not distinguish them either
		case err != nil:
			return err
		default:
			documents[i] = text
		}
	}
	return nil
}

// documentsOfServers reads from each server the documents that it has.
func (c *Client) documentsOfServers(ctx context.Context, ids []events.ID, documents [][]byte) error {
	type part struct {
		ids       []events.ID
		positions []int
	}
	parts := map[goredis.UniversalClient]*part{}
	for i, id := range ids {
		client := c.For(c.documentKey(id))
		if parts[client] == nil {
			parts[client] = &part{}
		}
		parts[client].ids = append(parts[client].ids, id)
		parts[client].positions = append(parts[client].positions, i)
	}
	results := make(chan error, len(parts))
	for client, p := range parts {
		go func() {
			found := make([][]byte, len(p.ids))
			err := c.together(ctx, client, p.ids, found)
			for i, position := range p.positions {
				documents[position] = found[i]
			}
			results <- err
		}()
	}
	var err error
	for range parts {
		err = errors.Join(err, <-results)
	}
	return err
}
