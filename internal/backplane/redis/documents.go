package redis

import (
	"context"
	"errors"
	"fmt"

	goredis "github.com/redis/go-redis/v9"

	"github.com/rte-server/rte-server/internal/events"
)

// documentKey is where the directory has an entity.
func documentKey(id events.ID) string { return "rte:d:e:" + id.String() }

// Documents reads the documents of ids, in order, into documents, which has the length of ids; nil is one that does not
// exist. It is one round trip however many ids there are: one MGET; one to each of several servers, at the same time.
func (b *Backplane) Documents(ctx context.Context, ids []events.ID, documents [][]byte) error {
	if len(ids) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, b.options.CommandTimeout)
	defer cancel()
	var err error
	switch {
	case b.cluster != nil:
		err = pipelined(ctx, b.cluster.client, ids, documents)
	case len(b.shards) == 1:
		err = together(ctx, b.shards[0].commands, ids, documents)
	default:
		err = b.documentsOfShards(ctx, ids, documents)
	}
	if err != nil {
		return fmt.Errorf("read directory: %w", err)
	}
	return nil
}

// together reads by one command.
func together(ctx context.Context, client goredis.UniversalClient, ids []events.ID, documents [][]byte) error {
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = documentKey(id)
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

// pipelined reads by a command for each, as the keys have different slots; the client sends those of one server in one
// go, and to all servers at the same time.
func pipelined(ctx context.Context, client *goredis.ClusterClient, ids []events.ID, documents [][]byte) error {
	pipe := client.Pipeline()
	commands := make([]*goredis.StringCmd, len(ids))
	for i, id := range ids {
		commands[i] = pipe.Get(ctx, documentKey(id))
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	for i, command := range commands {
		text, err := command.Bytes()
		switch {
		case isNil(err), goredis.HasErrorPrefix(err, "WRONGTYPE"): // MGET does not tell them apart either
			documents[i] = nil
		case err != nil:
			return err
		default:
			documents[i] = text
		}
	}
	return nil
}

// documentsOfShards asks each server for those that it has.
func (b *Backplane) documentsOfShards(ctx context.Context, ids []events.ID, documents [][]byte) error {
	type share struct {
		ids       []events.ID
		positions []int
	}
	shares := map[*link]*share{}
	for i, id := range ids {
		k := b.shard(documentKey(id))
		if shares[k] == nil {
			shares[k] = &share{}
		}
		shares[k].ids = append(shares[k].ids, id)
		shares[k].positions = append(shares[k].positions, i)
	}
	results := make(chan error, len(shares))
	for k, s := range shares {
		go func() {
			found := make([][]byte, len(s.ids))
			err := together(ctx, k.commands, s.ids, found)
			for i, position := range s.positions {
				documents[position] = found[i]
			}
			results <- err
		}()
	}
	var err error
	for range shares {
		err = errors.Join(err, <-results)
	}
	return err
}
