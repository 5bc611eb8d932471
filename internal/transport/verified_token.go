package transport

import (
	"context"
	"net"

	"github.com/rte-server/rte-server/internal/authz"
)

// verifiedToken is the result of the entrance's check of a token, for a request that it then left to net/http. It
// counts for the first request of the connection that shows the token. So no token is verified, and counted, twice.
type verifiedToken struct {
	token  string
	claims *authz.Claims
	err    error
}

// verifiedKey is the key of a *verifiedToken in the context of a connection.
type verifiedKey struct{}

// withVerified is the http.Server.ConnContext of connections that come through an entrance.
func withVerified(ctx context.Context, conn net.Conn) context.Context {
	if replayed, ok := conn.(*replayedConn); ok && replayed.verified != nil {
		return context.WithValue(ctx, verifiedKey{}, replayed.verified)
	}
	return ctx
}

// takeVerified returns the result for a token that came with the connection, once; nil: there is none. The requests of
// a connection come one after the other, so it needs no lock.
func takeVerified(ctx context.Context, token string) *verifiedToken {
	v, _ := ctx.Value(verifiedKey{}).(*verifiedToken)
	if v == nil || v.token != token {
		return nil
	}
	taken := *v
	*v = verifiedToken{}
	return &taken
}
