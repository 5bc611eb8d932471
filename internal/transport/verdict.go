package transport

import (
	"context"
	"net"

	"github.com/rte-server/rte-server/internal/authz"
)

// verdict is what the entrance has found out about the token of a request that it then left to net/http. It counts for
// the first request of the connection that shows the token, so that no token is verified, and counted, twice.
type verdict struct {
	token  string
	claims *authz.Claims
	err    error
}

// verdictKey is the key of a *verdict in the context of a connection.
type verdictKey struct{}

// withVerdict is the http.Server.ConnContext of connections that come by way of an entrance.
func withVerdict(ctx context.Context, conn net.Conn) context.Context {
	if replayed, ok := conn.(*replayedConn); ok && replayed.verdict != nil {
		return context.WithValue(ctx, verdictKey{}, replayed.verdict)
	}
	return ctx
}

// takeVerdict is the verdict about a token that came with the connection, once; nil: there is none. Requests of a
// connection come one after the other.
func takeVerdict(ctx context.Context, token string) *verdict {
	v, _ := ctx.Value(verdictKey{}).(*verdict)
	if v == nil || v.token != token {
		return nil
	}
	taken := *v
	*v = verdict{}
	return &taken
}
