package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/rte-server/rte-server/internal/backplane/resp"
)

// sentinels find the master with a name.
type sentinels struct {
	options *Options
	master  string
}

// address returns the address of the master, from the first Sentinel that knows it.
func (s *sentinels) address(ctx context.Context) (string, error) {
	var failed error
	for _, address := range s.options.Addresses {
		client := s.client(address)
		found, err := s.masterOf(ctx, client)
		_ = client.Close()
		if err == nil {
			return found, nil
		}
		failed = errors.Join(failed, fmt.Errorf("sentinel %s: %w", address, err))
	}
	return "", failed
}

func (s *sentinels) client(address string) *goredis.SentinelClient {
	options := s.options.client(address)
	options.Username, options.Password = s.options.SentinelUsername, s.options.SentinelPassword
	options.CredentialsProvider = s.options.SentinelLogin
	options.OnConnect, options.DB, options.PoolSize = nil, 0, 1
	return goredis.NewSentinelClient(options)
}

func (s *sentinels) masterOf(ctx context.Context, client *goredis.SentinelClient) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.options.CommandTimeout)
	defer cancel()
	found, err := client.GetMasterAddrByName(ctx, s.master).Result()
	if err != nil {
		return "", err
	}
	if len(found) != 2 {
		return "", resp.ErrProtocol
	}
	return net.JoinHostPort(found[0], found[1]), nil
}

// watch polls the Sentinels until one names another master than the address, and the next one that answers confirms
// it; then it returns an error. It returns nil if ctx ends before.
func (s *sentinels) watch(ctx context.Context, address string) error {
	clients := make([]*goredis.SentinelClient, len(s.options.Addresses))
	for i, a := range s.options.Addresses {
		clients[i] = s.client(a)
		defer clients[i].Close()
	}
	ticker := time.NewTicker(s.options.ProbeInterval)
	defer ticker.Stop()
	for turn := 0; ; turn++ {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		first := turn % len(clients)
		found, err := s.masterOf(ctx, clients[first])
		if err != nil || found == address {
			continue
		}
		if second, ok := s.second(ctx, clients, first); !ok || second != address {
			return fmt.Errorf("the master is %s", found)
		}
	}
}

// second polls the Sentinels after the first one, in turn, until one answers: the first may have been cut off for a
// while. ok is false if there is no other Sentinel, or none answers.
func (s *sentinels) second(
	ctx context.Context, clients []*goredis.SentinelClient, first int,
) (address string, ok bool) {
	for i := 1; i < len(clients); i++ {
		if found, err := s.masterOf(ctx, clients[(first+i)%len(clients)]); err == nil {
			return found, true
		}
	}
	return "", false
}
