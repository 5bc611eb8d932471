package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"

	goredis "github.com/redis/go-redis/v9"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/redis/command"
)

// errReplica ends a connection to a server that is no master: what is published arrives there late, or not at all.
var errReplica = errors.New("not a master")

// server is the one that an epoch is subscribed at, for the commands that must be answered by no other.
type server struct {
	*goredis.Client

	// history is the id of the server's replication history: another one, or none, means that the journals may not
	// be the ones from before.
	history string
}

// openServer connects to a master.
func (o *Options) openServer(ctx context.Context, address string) (*server, error) {
	options := o.client(address)
	options.PoolSize = repairers + 2 // the scout and the canary
	s := &server{Client: goredis.NewClient(options)}
	info, err := s.Info(ctx, "replication").Result()
	if err != nil && !command.Refused(err) {
		_ = s.Close()
		return nil, err
	}
	for line := range strings.Lines(info) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch key {
		case "role":
			if value != "master" {
				_ = s.Close()
				return nil, fmt.Errorf("%s: %w", address, errReplica)
			}
		case "master_replid":
			s.history = value
		}
	}
	return s, nil
}

// clock is the server's time as the id of an entry that it would add now.
func (s *server) clock(ctx context.Context) (backplane.StreamID, error) {
	now, err := s.Time(ctx).Result()
	if err != nil {
		return backplane.StreamID{}, err
	}
	return backplane.StreamID{Milliseconds: uint64(max(0, now.UnixMilli()))}, nil
}
