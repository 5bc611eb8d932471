package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/rte-server/rte-server/internal/backplane/redis/command"
	"github.com/rte-server/rte-server/internal/backplane/resp"
)

// clientName is the name of our connections in CLIENT LIST.
const clientName = "rte-server"

// QuietDriver makes go-redis log nothing. go-redis would write a line to standard error for each dial and each command
// that fails, without a bound; the backplane logs the same failures. It applies to the whole process; call it before
// anything else of this package.
func QuietDriver() { goredis.SetLogger(driverLog{}) }

// driverLog drops the log lines of go-redis.
type driverLog struct{}

func (driverLog) Printf(context.Context, string, ...any) {}

// replyLimits returns the bounds of the reply to an ordinary command. The largest replies are pages of journals: 10,000
// entries of 7 elements. A page that exceeds the bytes is read in parts.
func replyLimits() resp.Limits {
	return resp.Limits{Elements: 1 << 20, Bulk: 16 << 20, Total: 64 << 20}
}

// checked is a connection of go-redis. go-redis allocates what a reply announces before it arrives; this connection
// fails instead if a reply exceeds replyLimits.
type checked struct {
	net.Conn
	checker *resp.Checker
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if failed := c.checker.Check(p[:n]); failed != nil {
		return 0, failed
	}
	return n, err
}

// newChecked returns conn with checked replies. go-redis looks at an idle connection before it uses it, if the
// connection is a syscall.Conn, and replaces one that Redis has closed. Hiding that made the first command after a cut
// fail.
func newChecked(conn net.Conn) net.Conn {
	c := checked{Conn: conn, checker: resp.NewChecker(replyLimits())}
	if raw, ok := conn.(syscall.Conn); ok {
		return &checkedSocket{checked: c, socket: raw}
	}
	return &c
}

// checkedSocket is a checked connection without TLS.
type checkedSocket struct {
	checked
	socket syscall.Conn
}

func (c *checkedSocket) SyscallConn() (syscall.RawConn, error) { return c.socket.SyscallConn() }

// errRedial stops go-redis from replacing a subscribed connection by itself.
var errRedial = errors.New("an epoch has one connection")

// dialChecked is dial for connections of which go-redis reads the replies.
func (o *Options) dialChecked(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := o.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return newChecked(conn), nil
}

// dial opens a connection, with TLS if configured.
func (o *Options) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, o.DialTimeout)
	defer cancel()
	conn, err := o.Dial(ctx, network, address)
	config := o.nextTLS()
	if err != nil || config == nil {
		return conn, err
	}
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

// nextTLS returns the TLS configuration of the next connection; nil: no TLS.
func (o *Options) nextTLS() *tls.Config {
	if o.NextTLS != nil {
		return o.NextTLS()
	}
	return o.TLS
}

// setClientName names a connection, if Redis permits it: operators rename CLIENT, or deny it.
func setClientName(ctx context.Context, conn *goredis.Conn) error {
	if err := conn.ClientSetName(ctx, clientName).Err(); err != nil && !isReply(err) {
		return err
	}
	return nil
}

// loginToSentinel names a connection to a master or a Sentinel, and logs in to a Sentinel. go-redis itself has no user
// and password for Sentinels: it would never change them.
func (o *Options) loginToSentinel(ctx context.Context, conn *goredis.Conn) error {
	err := conn.ClientSetName(ctx, clientName).Err()
	if goredis.HasErrorPrefix(err, "NOAUTH") {
		if username, password := o.SentinelLogin(); username != "" {
			err = conn.AuthACL(ctx, username, password).Err()
		} else {
			err = conn.Auth(ctx, password).Err()
		}
		if err != nil {
			return err
		}
		err = conn.ClientSetName(ctx, clientName).Err()
	}
	if err != nil && !isReply(err) {
		return err
	}
	return nil
}

// isReply reports whether an error is a reply of Redis: then the connection works.
func isReply(err error) bool {
	_, ok := errors.AsType[goredis.Error](err)
	return ok
}

// client returns the settings of every connection to one server. A command that Redis may have executed is never
// repeated: one PUBLISH would become several.
func (o *Options) client(address string) *goredis.Options {
	return &goredis.Options{
		Addr:                     address,
		Username:                 o.Username,
		Password:                 o.Password,
		CredentialsProvider:      o.Login,
		DB:                       o.DB,
		OnConnect:                setClientName,
		Dialer:                   o.dialChecked,
		Protocol:                 2,
		MaxRetries:               -1,
		DialTimeout:              o.DialTimeout,
		DialerRetries:            1,
		ReadTimeout:              o.CommandTimeout,
		WriteTimeout:             o.CommandTimeout,
		ContextTimeoutEnabled:    true,
		DisableIdentity:          true, // Redis 7.0 would require a permission for it
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

// servers names the independent servers: their addresses or, with Sentinels, the names of the masters.
func (o *Options) servers() []string {
	switch {
	case o.SentinelMaster == "":
		return o.Addresses
	case o.Sharded:
		return strings.Split(o.SentinelMaster, ",")
	default:
		return []string{o.SentinelMaster}
	}
}

// newCommands makes the client of ordinary commands.
func (o *Options) newCommands() *command.Client {
	c := command.Options{
		Catalog: o.Catalog, Layout: o.Layout, JournalLength: o.JournalLength,
		Timeout: o.CommandTimeout,
	}
	if o.Cluster {
		c.Cluster = o.universal(o.Addresses, "").(*goredis.ClusterClient)
		return command.New(c)
	}
	for _, name := range o.servers() {
		client := o.universal([]string{name}, "")
		if o.SentinelMaster != "" {
			client = o.universal(o.Addresses, name)
		}
		c.Servers = append(c.Servers, command.Server{Name: name, Client: client})
	}
	return command.New(c)
}

// universal makes a client that follows a failover by itself. master is the name of a master that the Sentinels at the
// addresses watch; if it is empty, the addresses are those of a server or a cluster.
func (o *Options) universal(addresses []string, master string) goredis.UniversalClient {
	c := o.client("")
	username, password := o.SentinelUsername, o.SentinelPassword
	if master != "" && o.SentinelLogin != nil {
		c.OnConnect, username, password = o.loginToSentinel, "", ""
	}
	return goredis.NewUniversalClient(&goredis.UniversalOptions{
		Addrs:                    addresses,
		MasterName:               master,
		SentinelUsername:         username,
		SentinelPassword:         password,
		IsClusterMode:            o.Cluster,
		Username:                 c.Username,
		Password:                 c.Password,
		CredentialsProvider:      c.CredentialsProvider,
		DB:                       c.DB,
		OnConnect:                c.OnConnect,
		Dialer:                   c.Dialer,
		Protocol:                 c.Protocol,
		MaxRetries:               c.MaxRetries,
		DialTimeout:              c.DialTimeout,
		DialerRetries:            c.DialerRetries,
		ReadTimeout:              c.ReadTimeout,
		WriteTimeout:             c.WriteTimeout,
		ContextTimeoutEnabled:    c.ContextTimeoutEnabled,
		DisableIdentity:          c.DisableIdentity,
		MaintNotificationsConfig: c.MaintNotificationsConfig,
	})
}

// subscriber is an authenticated connection that only its epoch reads and writes.
type subscriber struct {
	net.Conn
	address string
	client  *goredis.Client
}

// openSubscriber dials and authenticates through go-redis, which does not touch the connection afterwards.
func (o *Options) openSubscriber(ctx context.Context, address string) (*subscriber, error) {
	var (
		mu     sync.Mutex // go-redis dials in its own goroutine, which may still run when Ping has given up
		dialed net.Conn   // guarded by mu
		over   bool       // guarded by mu; no further dial is permitted
	)
	options := o.client(address)
	options.PoolSize = 1
	options.ReadTimeout, options.WriteTimeout = o.DialTimeout, o.DialTimeout
	options.Dialer = func(ctx context.Context, network, address string) (net.Conn, error) {
		mu.Lock()
		again := over || dialed != nil
		mu.Unlock()
		if again {
			return nil, errRedial
		}
		conn, err := o.dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		mu.Lock()
		defer mu.Unlock()
		if over {
			_ = conn.Close() // the epoch has given up
			return nil, errRedial
		}
		dialed = conn
		return newChecked(conn), nil
	}
	s := &subscriber{address: address, client: goredis.NewClient(options)}
	err := s.client.Ping(ctx).Err()
	if command.Unsupported(err) {
		err = nil // it is renamed; the connection works
	}
	mu.Lock()
	s.Conn, over = dialed, true
	mu.Unlock()
	if err == nil {
		err = s.SetDeadline(time.Time{})
	}
	if err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// Close closes the connection. It may be called more than once, from any goroutine. The order matters: go-redis checks
// the socket before it closes it, and would wait there for the epoch's reader.
func (s *subscriber) Close() error {
	var err error
	if s.Conn != nil {
		err = s.Conn.Close()
	}
	_ = s.client.Close()
	return err
}
