package transport

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
	"github.com/rte-server/rte-server/internal/hub"
	"github.com/rte-server/rte-server/internal/tracing"
	"github.com/rte-server/rte-server/internal/transport/forwarded"
	"github.com/rte-server/rte-server/internal/transport/relay"
	"github.com/rte-server/rte-server/internal/transport/transports"
)

// Verifier checks a token and returns its claims. *token.Verifier is one.
type Verifier interface {
	Verify(token string) (*authz.Claims, error)
}

// Session is the authenticated life on a connection. *hub.Session is one.
type Session interface {
	// Invoke runs an invocation and returns when it is done. One runs at a time (D2).
	Invoke(ctx context.Context, inv *hub.Invocation)
	// Send sends a copy of a frame of the transport, behind all frames sent before. It returns false when too many frames
	// wait.
	Send(frame []byte) bool
	// Close ends the session: the outbox sends the result of Conn.EncodeClose, then calls Conn.Ended. A second call does
	// nothing and returns false.
	Close(reason hub.CloseReason) (first bool)
	// Claims returns the claims in force.
	Claims() *authz.Claims
	// Outbox returns the outbox of the session.
	Outbox() *fanout.Outbox
	// Refresh replaces the claims, without waiting, unless those in force end later; see hub.Session for its errors. If
	// they have changed, Recheck applies them to what was granted before.
	Refresh(claims *authz.Claims) (changed bool, err error)
	Recheck(ctx context.Context)
}

// Options configure a Handler.
type Options struct {
	// Open begins the session of a connection after a successful handshake. Required. An error closes the connection: for
	// good (D9), or with hub.ErrDraining so that the client reconnects, to another node. With hub.ErrRevoked the client
	// gets the Close message of a revocation.
	Open func(conn hub.Conn, claims *authz.Claims) (Session, error)
	// Verifier checks the token of every request. Required.
	Verifier Verifier
	// Refused is called for each request that is refused because of its token, with its address, a reason, which is a word
	// of token.Reason or "two_tokens", and the name of the wrong claim, if there is one. It must not wait. nil: no call.
	Refused func(remote, reason, claim string)
	// Ended is called at the end of each connection, also of those whose handshake failed. It must not wait. nil: no call.
	Ended func(End)
	// Secret is shared by all nodes. The key of connection tokens is derived from it, so that any node accepts what
	// another negotiated. Empty: a random key; only this process accepts its tokens.
	Secret []byte
	// PreviousSecrets are accepted in addition to Secret while it is being replaced.
	PreviousSecrets [][]byte

	// Path is the path of the hub, in any case and with or without a trailing slash. Empty: /rte.
	Path string
	// Next serves all other paths. nil: 404.
	Next http.Handler
	// Origins are the origins whose pages may negotiate in a browser, such as https://desk.example.com. None: only pages
	// of the server's own origin.
	Origins []string

	// Transports are the transports of the server. None: WebSockets.
	Transports transports.Set

	Protocol ProtocolOptions
	Proxies  ProxyOptions
	Tokens   TokenOptions
	Refresh  RefreshOptions
	Resume   ResumeOptions
	// Relay passes requests on to the nodes that have their connections. nil: the server refuses these requests, as for
	// ended connections. The caller must serve Handler.Relayed to the other nodes.
	Relay  *relay.Relay
	Limits Limits
	// Admission is what clients wait for that come all at once.
	Admission AdmissionOptions
	Timeouts  Timeouts

	// Logger gets what happens to connections. nil: nothing is logged.
	Logger *zap.Logger
	// Tracer makes the spans of negotiations and upgrades; nil: none.
	Tracer *tracing.Tracer
	// Registerer gets the metrics. nil: they are not registered.
	Registerer prometheus.Registerer
}

// ProtocolOptions configure the protocols between client and server.
type ProtocolOptions struct {
	// MessagePackStyle is the style of results for MessagePack clients, as for hubprotocol.NewMessagePackEncoder. 0: as
	// .NET writes them.
	MessagePackStyle events.PackStyle
	// DetailedErrors adds the reason to the Close messages that report an error, as EnableDetailedErrors of ASP.NET Core
	// does.
	DetailedErrors bool
	// Deflate grants permessage-deflate to clients that offer it (RFC 7692). The fan-out must have Options.Deflate.
	Deflate bool
	// MinNegotiateVersion is the lowest negotiate version that is answered (N4). 0: all.
	MinNegotiateVersion int
}

// TokenOptions configure how long tokens are good for.
type TokenOptions struct {
	// TTL is how long a connection token may wait for its WebSocket (N12), on any node. 0: 15 s, which is also the least.
	TTL time.Duration
	// ClockTolerance is how much the clock of another node may differ from the clock of this one. 0: 30 s. A negative
	// value means no tolerance.
	ClockTolerance time.Duration
	// Announce sends a message to all nodes, which pass it to HandleRedemptions: connection tokens work once on all nodes
	// together. nil: there are no other nodes.
	Announce func(ctx context.Context, message []byte) error
	// With Tickets, a connection token alone opens its connection: negotiate seals the claims in it, and clients need no
	// JWT in a URL. The answer of negotiate then has "webSocketTicket":true.
	Tickets bool
	// CloseAtExpiry ends a connection ExpiryGrace after its token has expired. The client reconnects, with a new token.
	// false: the token counts when the connection is opened.
	CloseAtExpiry bool
	ExpiryGrace   time.Duration
	// Revoked reports whether a token was revoked after it was verified. nil: none is.
	Revoked func(*authz.Claims) bool
	// Leeway is how long after its expiry the Verifier, also that of another node, accepts a token.
	Leeway time.Duration
}

// retention returns how long a used connection token must be remembered: any node may accept it for as long.
func (t *TokenOptions) retention() time.Duration { return t.TTL + 2*t.ClockTolerance }

// RefreshOptions configure the refresh of tokens.
type RefreshOptions struct {
	// Enabled lets clients replace the token of a connection, as those of .NET 11 do, by POST to Options.Path +
	// "/refresh". The answer of negotiate then has the lifetime of the token. false: there is no such path.
	Enabled bool
	// Refreshed is called for each connection of this node that has another token. It must not wait. nil: no call.
	Refreshed func(conn hub.Conn, claims *authz.Claims)
	// Forward sends a message to all nodes, which pass it to HandleRefresh, and does not wait for them. A refresh request
	// may arrive at another node than its connection. nil: there are no other nodes.
	Forward func(ctx context.Context, message []byte) error
}

// ResumeOptions configure stateful reconnect (1.11): a client that asked for it may put another socket under its
// connection.
type ResumeOptions struct {
	// Window is how long a connection waits for another socket. 0: stateful reconnect is not granted.
	Window time.Duration
}

// Limits bound what clients may use.
type Limits struct {
	// Connections bounds the connections of this node. More are refused with 503. 0: 100,000.
	Connections int
	// Sockets bounds the sockets that Handler.Serve has open, whatever their clients do. Further connections get 503 or
	// are reset. Above three quarters of it, idle HTTP connections are closed at once. 0: no limit.
	Sockets int
	// OrganizationConnections bounds the connections of one organization, in the same way. 0: no limit.
	OrganizationConnections int
	// UserConnections bounds the connections of one user. 0: 1,000. A negative value is no limit, here and below.
	UserConnections int
	// AddressConnections bounds the connections from one public address of IPv4, or from one /64 of IPv6. Private
	// addresses have no limit: load balancers have them. 0: 10,000.
	AddressConnections int
	// FrameRate bounds the WebSocket frames and hub messages of one connection per second, CallRate its calls. A client
	// may be 10 s ahead; then the server reads more slowly. 0: 1,000 frames and 500 calls.
	FrameRate, CallRate int
	// PingRate bounds the WebSocket pings of one connection that are answered per second. 0: 10.
	PingRate int
	// UnreadBytes bounds what a client that reads slowly may have to read before further frames wait in its outbox, where
	// newer states replace older ones. It is adjusted to half a second of what the client reads, down to the half. Such a
	// client gets WebSocket pings. 0: 32 KiB. A negative value is no limit.
	UnreadBytes int
	// MessageBytes bounds a hub message, separator or length prefix included (D8). 0: 256 KiB.
	MessageBytes int
	// PendingBytes bounds the memory of incomplete hub messages above 32 KiB, of all connections. A connection that needs
	// more is closed. 0: 64 MiB.
	PendingBytes int64
	// FrameBytes bounds the announced length of one WebSocket frame. Frames are not kept, and clients put many hub
	// messages into one, so this does not bound memory. 0: 16 MiB.
	FrameBytes int64
}

// Timeouts bound how long clients may take.
type Timeouts struct {
	// Handshake bounds the hub handshake (1.5). 0: 15 s.
	Handshake time.Duration
	// KeepAlive is the time between pings of the server (1.8). 0: 15 s.
	KeepAlive time.Duration
	// Client is how long a client that has sent a ping may then send no hub message (1.8). WebSocket pings and pongs are
	// none: a client whose hub hangs may still answer them. 0: 30 s.
	Client time.Duration
	// Send is how long one send may block (W9). 0: 10 s.
	Send time.Duration
	// Close is how long the peer may take to answer the end of a connection (W8). 0: 5 s.
	Close time.Duration
	// Hold is how long a negotiate or an upgrade is held at most when connections of its user fail again and again. It
	// must be shorter than the write timeout of the HTTP server. 0: 10 s.
	Hold time.Duration
	// Idle is how long an HTTP connection may wait for its next request. Clients of .NET keep the connection of negotiate
	// open, which takes a second descriptor. 0: 5 s.
	Idle time.Duration
	// Poll is how long a request of LongPolling waits for messages. 0: 90 s.
	Poll time.Duration
	// Disconnect is how long a client of LongPolling may wait with its next request. 0: 15 s.
	Disconnect time.Duration
	// Refresh is how long another node may take to answer a refresh request. 0: 2 s.
	Refresh time.Duration
}

// minTokenTTL is what clients may rely on (N12).
const minTokenTTL = 15 * time.Second

// withDefaults fills in zero values and checks the rest.
func (o Options) withDefaults() (Options, error) {
	if o.Open == nil {
		return o, errors.New("transport: Options.Open is required")
	}
	if o.Verifier == nil {
		return o, errors.New("transport: Options.Verifier is required")
	}
	setDefault(&o.Path, "/rte")
	if o.Transports == (transports.Set{}) {
		o.Transports[transports.WebSockets] = true
	}
	setDefault(&o.Proxies.Protocol, forwarded.Off)
	setDefault(&o.Tokens.TTL, minTokenTTL)
	setDefault(&o.Tokens.ClockTolerance, 30*time.Second)
	o.Tokens.ClockTolerance = max(o.Tokens.ClockTolerance, 0)
	o.Limits.setDefaults()
	o.Timeouts.setDefaults()
	if o.Refused == nil {
		o.Refused = func(string, string, string) {}
	}
	if o.Tokens.Revoked == nil {
		o.Tokens.Revoked = func(*authz.Claims) bool { return false }
	}
	if o.Refresh.Refreshed == nil {
		o.Refresh.Refreshed = func(hub.Conn, *authz.Claims) {}
	}
	if o.Next == nil {
		o.Next = http.NotFoundHandler()
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	o.Path = strings.TrimRight(o.Path, "/")
	return o, o.check()
}

func (l *Limits) setDefaults() {
	setDefault(&l.Connections, 100_000)
	setDefault(&l.UserConnections, 1_000)
	setDefault(&l.AddressConnections, 10_000)
	setDefault(&l.FrameRate, 1_000)
	setDefault(&l.CallRate, 500)
	setDefault(&l.PingRate, 10)
	setDefault(&l.UnreadBytes, 32<<10)
	setDefault(&l.MessageBytes, 256<<10)
	setDefault(&l.PendingBytes, 64<<20)
	setDefault(&l.FrameBytes, 16<<20)
}

func (t *Timeouts) setDefaults() {
	setDefault(&t.Handshake, 15*time.Second)
	setDefault(&t.KeepAlive, 15*time.Second)
	setDefault(&t.Client, 30*time.Second)
	setDefault(&t.Send, 10*time.Second)
	setDefault(&t.Close, 5*time.Second)
	setDefault(&t.Hold, 10*time.Second)
	setDefault(&t.Idle, 5*time.Second)
	setDefault(&t.Poll, 90*time.Second)
	setDefault(&t.Disconnect, 15*time.Second)
	setDefault(&t.Refresh, 2*time.Second)
}

// check returns an error that names the first option with a value out of its range.
func (o *Options) check() error {
	if !strings.HasPrefix(o.Path, "/") {
		return fmt.Errorf("transport: Options.Path %q must begin with a slash and a name", o.Path)
	}
	if o.Tokens.TTL < minTokenTTL {
		return fmt.Errorf("transport: Options.Tokens.TTL %s must be at least %s", o.Tokens.TTL, minTokenTTL)
	}
	for _, number := range []struct {
		name  string
		value int64
	}{
		{"Tokens.ExpiryGrace", int64(o.Tokens.ExpiryGrace)},
		{"Limits.Connections", int64(o.Limits.Connections)},
		{"Limits.OrganizationConnections", int64(o.Limits.OrganizationConnections)},
		{"Limits.MessageBytes", int64(o.Limits.MessageBytes)},
		{"Limits.PendingBytes", o.Limits.PendingBytes},
		{"Limits.FrameBytes", o.Limits.FrameBytes},
		{"Admission.Rate", int64(o.Admission.Rate)},
		{"Admission.Burst", int64(o.Admission.Burst)},
		{"Admission.Wait", int64(o.Admission.Wait)},
		{"Admission.FullWait", int64(o.Admission.FullWait)},
		{"Timeouts.Handshake", int64(o.Timeouts.Handshake)},
		{"Timeouts.KeepAlive", int64(o.Timeouts.KeepAlive)},
		{"Timeouts.Client", int64(o.Timeouts.Client)},
		{"Timeouts.Send", int64(o.Timeouts.Send)},
		{"Timeouts.Close", int64(o.Timeouts.Close)},
		{"Timeouts.Hold", int64(o.Timeouts.Hold)},
		{"Timeouts.Idle", int64(o.Timeouts.Idle)},
		{"Timeouts.Poll", int64(o.Timeouts.Poll)},
		{"Timeouts.Disconnect", int64(o.Timeouts.Disconnect)},
		{"Timeouts.Refresh", int64(o.Timeouts.Refresh)},
	} {
		if number.value < 0 {
			return fmt.Errorf("transport: Options.%s must not be negative", number.name)
		}
	}
	return nil
}

func setDefault[T comparable](value *T, byDefault T) {
	var zero T
	if *value == zero {
		*value = byDefault
	}
}
