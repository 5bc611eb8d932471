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
	"github.com/rte-server/rte-server/internal/hub"
)

// Verifier turns a token into claims, or says why not. *token.Verifier is one.
type Verifier interface {
	Verify(token string) (*authz.Claims, error)
}

// Session is the authenticated life on a connection. *hub.Session is one.
type Session interface {
	// Invoke runs an invocation and returns when it is done. One runs at a time (D2).
	Invoke(ctx context.Context, inv *hub.Invocation)
	// Send sends a frame of the transport, behind everything sent before. It refuses, false, when too much waits.
	Send(frame []byte) bool
	// Close ends the session: the outbox sends what Conn.EncodeClose makes of the reason, then calls Conn.Ended. A
	// second call is ignored: it is not the first.
	Close(reason hub.CloseReason) (first bool)
	// Refresh replaces the claims, without waiting; see hub.Session for its errors. If they have changed, Recheck applies
	// them to what was granted before.
	Refresh(claims *authz.Claims) (changed bool, err error)
	Recheck(ctx context.Context)
}

// Options are what a Handler needs.
type Options struct {
	// Open begins the session of a connection whose handshake succeeded. An error closes the connection: for good
	// (D9), or with hub.ErrDraining so that the client comes back, to another node. With hub.ErrRevoked it is told what
	// it would have been told a moment later.
	Open func(conn hub.Conn, claims *authz.Claims) (Session, error)
	// Verifier checks the token of every request.
	Verifier Verifier
	// Refused is told of each request that is refused because of its token: from what address it came and why, in a
	// word of token.Reason, or "two_tokens". It must not wait. nil: nobody is told.
	Refused func(remote, reason string)
	// Secret is shared by all nodes: the key of connection tokens is derived from it, so that any node accepts what
	// another negotiated. Empty: a random key, only this process accepts its tokens.
	Secret []byte
	// Path is where the hub is, in any case and with or without a trailing slash. Empty: /rte.
	Path string
	// Next serves all other paths. nil: 404.
	Next http.Handler
	// Origins are the origins, such as https://desk.example.com, whose pages may negotiate in a browser. None: only
	// pages of the server's own origin.
	Origins []string

	// MessagePackStyle is how results are written for MessagePack clients. NewMessagePackEncoder takes the same. 0: as
	// .NET writes them.
	MessagePackStyle events.PackStyle
	// MinNegotiateVersion is the lowest negotiate version that is answered (N4). 0: all.
	MinNegotiateVersion int
	// TokenTTL is how long a connection token may wait for its WebSocket (N12), clocks of nodes included. 0: 15 s,
	// which is also the least.
	TokenTTL time.Duration
	// MaxConnections bounds the connections of this node; more are refused with 503. 0: 100,000.
	MaxConnections int
	// Quota bounds those of an organization, in the same way. 0: no limit.
	Quota int
	// HandshakeTimeout is how long the hub handshake may take (1.5). 0: 15 s.
	HandshakeTimeout time.Duration
	// KeepAliveInterval is the time between pings of the server (1.8). 0: 15 s.
	KeepAliveInterval time.Duration
	// ClientTimeout is how long a client that has pinged once may be silent (1.8). 0: 30 s.
	ClientTimeout time.Duration
	// CloseAtExpiry ends a connection ExpiryGrace after its token has expired; the client is told to reconnect, which
	// takes a new token. false: the token counts when the connection is opened.
	CloseAtExpiry bool
	ExpiryGrace   time.Duration
	// Refresh lets clients replace the token of a connection, as those of .NET 11 do, by POST to Path + "/refresh", and
	// tells them in the answer to negotiate how long the token they have is good. false: there is no such path.
	Refresh bool
	// Refreshed is told of each connection of this node that has another token. It must not wait. nil: nobody is told.
	Refreshed func(conn hub.Conn, claims *authz.Claims)
	// Forward takes a message to all nodes, whose Hear then has it, and does not wait for them: the request to refresh
	// may arrive at another node than the connection is on. nil: there are no other nodes.
	Forward func(ctx context.Context, message []byte) error
	// SendTimeout is how long one send may block (W9). 0: 10 s.
	SendTimeout time.Duration
	// CloseTimeout is how long the peer may take to answer the end of a connection (W8). 0: 5 s.
	CloseTimeout time.Duration
	// MaxMessageBytes bounds a hub message, separator or length prefix included (D8). 0: 32768.
	MaxMessageBytes int
	// MaxFrameBytes bounds what a client may announce as one WebSocket frame. Frames are not kept, and clients put
	// many hub messages into one, so this is no bound on memory. 0: 16 MiB.
	MaxFrameBytes int64

	// Logger gets what happens to connections. nil: nothing is logged.
	Logger *zap.Logger
	// Registerer gets the metrics. nil: nobody sees them.
	Registerer prometheus.Registerer
}

// minTokenTTL is what clients may rely on (N12).
const minTokenTTL = 15 * time.Second

// withDefaults fills in zero values and checks the rest.
func (o Options) withDefaults() (Options, error) {
	if o.Open == nil || o.Verifier == nil {
		return o, errors.New("transport: Open and Verifier are needed")
	}
	setDefault(&o.Path, "/rte")
	setDefault(&o.TokenTTL, minTokenTTL)
	setDefault(&o.MaxConnections, 100_000)
	setDefault(&o.HandshakeTimeout, 15*time.Second)
	setDefault(&o.KeepAliveInterval, 15*time.Second)
	setDefault(&o.ClientTimeout, 30*time.Second)
	setDefault(&o.SendTimeout, 10*time.Second)
	setDefault(&o.CloseTimeout, 5*time.Second)
	setDefault(&o.MaxMessageBytes, 32<<10)
	setDefault(&o.MaxFrameBytes, 16<<20)
	if o.Refused == nil {
		o.Refused = func(string, string) {}
	}
	if o.Refreshed == nil {
		o.Refreshed = func(hub.Conn, *authz.Claims) {}
	}
	if o.Next == nil {
		o.Next = http.NotFoundHandler()
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	o.Path = strings.TrimRight(o.Path, "/")
	if !strings.HasPrefix(o.Path, "/") {
		return o, fmt.Errorf("transport: path %q does not begin with a slash and a name", o.Path)
	}
	if o.TokenTTL < minTokenTTL {
		return o, fmt.Errorf("transport: token lifetime %s is shorter than %s", o.TokenTTL, minTokenTTL)
	}
	for _, d := range []time.Duration{
		o.HandshakeTimeout, o.KeepAliveInterval, o.ClientTimeout, o.SendTimeout, o.CloseTimeout, o.ExpiryGrace,
	} {
		if d < 0 {
			return o, fmt.Errorf("transport: timeout %s is negative", d)
		}
	}
	if o.MaxConnections < 0 || o.Quota < 0 || o.MaxMessageBytes < 0 || o.MaxFrameBytes < 0 {
		return o, errors.New("transport: a limit is negative")
	}
	return o, nil
}

func setDefault[T comparable](value *T, byDefault T) {
	var zero T
	if *value == zero {
		*value = byDefault
	}
}
