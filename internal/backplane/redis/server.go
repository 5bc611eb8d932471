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

// errReplica ends a connection to a server that is not a master: events arrive there late, or not at all.
var errReplica = errors.New("not a master")

// server is the server of an epoch, for the commands that no other server may answer.
type server struct {
	*goredis.Client

	// history is the id of the server's replication history. If it differs or is empty, the journals may be others
	// than before.
	history string
}

// openServer connects to a master.
func (o *Options) openServer(ctx context.Context, address string) (*server, error) {
	options := o.client(address)
	options.PoolSize = repairers + 2 // the journal lookup and the canary
	s := &server{Client: goredis.NewClient(options)}
	info, err := s.Info(ctx, "replication").Result()
	if err != nil && !command.Denied(err) {
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

// clock returns the server's time as the id of an entry that it would add now.
func (s *server) clock(ctx context.Context) (backplane.StreamID, error) {
	now, err := s.Time(ctx).Result()
	if err != nil {
		return backplane.StreamID{}, err
	}
	return backplane.StreamID{Milliseconds: uint64(max(0, now.UnixMilli()))}, nil
}
