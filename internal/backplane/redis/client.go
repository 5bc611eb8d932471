package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// clientName is how a node's connections appear in CLIENT LIST.
const clientName = "rte-server"

// errRedial is what go-redis is told when it wants to replace a subscribed connection by itself.
var errRedial = errors.New("an epoch has one connection")

// dial opens a connection and, if asked for, begins TLS on it.
func (o *Options) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, o.DialTimeout)
	defer cancel()
	conn, err := o.Dial(ctx, network, address)
	if err != nil || o.TLS == nil {
		return conn, err
	}
	config := o.TLS
	if config.ServerName == "" {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			host = address
		}
		config = config.Clone()
		config.ServerName = host
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secure, nil
}

// newCommands makes the client of ordinary commands. It follows a failover by itself. It does not repeat a command
// that may have been carried out: one PUBLISH would become several.
func (o *Options) newCommands() goredis.UniversalClient {
	u := &goredis.UniversalOptions{
		Addrs:                 o.Addresses,
		MasterName:            o.SentinelMaster,
		SentinelUsername:      o.SentinelUsername,
		SentinelPassword:      o.SentinelPassword,
		IsClusterMode:         o.Cluster,
		Username:              o.Username,
		Password:              o.Password,
		DB:                    o.DB,
		ClientName:            clientName,
		Dialer:                o.dial,
		Protocol:              2,
		MaxRetries:            -1,
		DialTimeout:           o.DialTimeout,
		DialerRetries:         1,
		ReadTimeout:           o.CommandTimeout,
		WriteTimeout:          o.CommandTimeout,
		ContextTimeoutEnabled: true,
		DisableIdentity:       true,
		MaintNotificationsConfig: &maintnotifications.Config{
			Mode: maintnotifications.ModeDisabled,
		},
	}
	return goredis.NewUniversalClient(u)
}

// subscriber is an authenticated connection that nothing but its epoch reads and writes.
type subscriber struct {
	net.Conn
	client *goredis.Client
}

// openSubscriber dials and authenticates by go-redis, which then does not touch the connection again.
func (o *Options) openSubscriber(ctx context.Context, address string) (*subscriber, error) {
	s := &subscriber{}
	s.client = goredis.NewClient(&goredis.Options{
		Addr:       address,
		Username:   o.Username,
		Password:   o.Password,
		DB:         o.DB,
		ClientName: clientName,
		Dialer: func(ctx context.Context, network, address string) (net.Conn, error) {
			if s.Conn != nil {
				return nil, errRedial
			}
			conn, err := o.dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			s.Conn = conn
			return conn, nil
		},
		Protocol:                 2,
		PoolSize:                 1,
		MaxRetries:               -1,
		DialTimeout:              o.DialTimeout,
		DialerRetries:            1,
		ReadTimeout:              o.DialTimeout,
		WriteTimeout:             o.DialTimeout,
		ContextTimeoutEnabled:    true,
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	err := s.client.Ping(ctx).Err()
	if err == nil {
		err = s.SetDeadline(time.Time{})
	}
	if err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// Close closes the connection. It may be called more than once, from any goroutine. The order matters: go-redis looks
// at the socket once more before it closes it, and would wait there for the epoch's reader.
func (s *subscriber) Close() error {
	var err error
	if s.Conn != nil {
		err = s.Conn.Close()
	}
	_ = s.client.Close()
	return err
}

// master asks the Sentinels for the address of the master.
func (o *Options) master(ctx context.Context) (string, error) {
	var failed error
	for _, address := range o.Addresses {
		sentinel := goredis.NewSentinelClient(&goredis.Options{
			Addr:                     address,
			Username:                 o.SentinelUsername,
			Password:                 o.SentinelPassword,
			Dialer:                   o.dial,
			Protocol:                 2,
			PoolSize:                 1,
			MaxRetries:               -1,
			DialTimeout:              o.DialTimeout,
			DialerRetries:            1,
			ReadTimeout:              o.CommandTimeout,
			WriteTimeout:             o.CommandTimeout,
			ContextTimeoutEnabled:    true,
			DisableIdentity:          true,
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		})
		found, err := sentinel.GetMasterAddrByName(ctx, o.SentinelMaster).Result()
		_ = sentinel.Close()
		if err == nil && len(found) == 2 {
			return net.JoinHostPort(found[0], found[1]), nil
		}
		failed = errors.Join(failed, fmt.Errorf("sentinel %s: %w", address, err))
	}
	return "", failed
}
