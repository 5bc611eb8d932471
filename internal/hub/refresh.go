package hub

import (
	"context"
	"errors"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
)

// Refresh replaces the claims of the session by those of a new token of the same user in the same organization. From
// then on Subscribe, revocations and rechecks use them. If changed is true, the caller must call Session.Recheck.
// Claims that end earlier than those in force change nothing: of two refreshes that race, the later token stays.
// Refresh does not wait. The error is ErrOtherUser, ErrRevoked or ErrClosed; then nothing has changed.
func (s *Session) Refresh(claims *authz.Claims) (changed bool, err error) {
	changed, err = s.replaceClaims(claims)
	if errors.Is(err, ErrRevoked) && s.hub.options.Authorization.Revoked(s.Claims()) {
		// The revocation of the earlier claims may have looked at the session while it had the new ones.
		s.Close(CloseRevoked)
	}
	return changed, err
}

func (s *Session) replaceClaims(claims *authz.Claims) (changed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.Claims()
	switch {
	case s.closed:
		return false, ErrClosed
	case claims.User != before.User || claims.Organization != before.Organization:
		return false, ErrOtherUser
	case claims.Equal(before) || claims.OlderThan(before):
		return false, nil // a client may repeat this as often as it likes: it costs nothing
	}
	// As in Open: a later revocation finds the new claims.
	s.claims.Store(claims)
	if s.hub.options.Authorization.Revoked(claims) {
		s.claims.Store(before)
		return false, ErrRevoked
	}
	// The earlier claims may have decided a Subscribe that still runs: the new number makes it recheck what it grants.
	s.hub.rechecks.number.Add(1)
	return true, nil
}

// Recheck ends the subscriptions that the session's claims do not allow any more. It takes no longer than an
// invocation.
func (s *Session) Recheck(ctx context.Context) {
	// The recheck does not end with the request that brought the new claims: without an answer of the directory nothing
	// ends.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.hub.options.Limits.Invocation)
	defer cancel()
	s.recheck(ctx, func(events.Topic) bool { return true })
}
