package transport

import (
	"errors"
	"net/http"
	"strings"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/authz/token"
)

var (
	errNoToken = errors.New("no token")
	// errTwoTokens means that a request carries different tokens in different places. Such a request is refused, because
	// one token could pass the check of a proxy and the other could be used here.
	errTwoTokens = errors.New("different tokens in one request")
)

// authenticate finds the token of a request, checks it and returns its claims (1.2). Without a token, a ticket may have
// the claims.
func (h *Handler) authenticate(r *http.Request, q query, kind requestKind) (_ *authz.Claims, ticket bool, err error) {
	token, err := bearer(r.Header.Values("Authorization"), q)
	if errors.Is(err, errNoToken) {
		if kind == requestHub && opensByTicket(r) {
			claims, err := h.redeemable(q)
			if !errors.Is(err, errNoToken) {
				return claims, true, err
			}
		}
		_, _ = h.options.Verifier.Verify("") // counts the missing token
	}
	if err != nil {
		return nil, false, err
	}
	if v := takeVerified(r.Context(), token); v != nil {
		return v.claims, false, v.err
	}
	claims, err := h.options.Verifier.Verify(token)
	return claims, false, err
}

// bearer returns the token of a request. It comes from the header Authorization (RFC 6750 section 2.1), whose values
// are given, or from the query parameter access_token (section 2.3), because browsers cannot set headers for a
// WebSocket.
func bearer(authorization []string, q query) (string, error) {
	var token string
	for _, candidate := range append(headerTokens(authorization), q.values("access_token")...) {
		switch {
		case candidate == "" || candidate == token:
		case token != "":
			return "", errTwoTokens
		default:
			token = candidate
		}
	}
	if token == "" {
		return "", errNoToken
	}
	return token, nil
}

// headerTokens returns the tokens of the scheme Bearer and skips other schemes.
func headerTokens(authorization []string) []string {
	var tokens []string
	for _, value := range authorization {
		if scheme, token, _ := strings.Cut(value, " "); strings.EqualFold(scheme, "Bearer") {
			tokens = append(tokens, strings.TrimSpace(token))
		}
	}
	return tokens
}

// refuseToken answers a request without a valid token (RFC 6750 section 3), before any upgrade. Neither the answer nor
// the log contains any part of the token.
func (h *Handler) refuseToken(w http.ResponseWriter, r *http.Request, from *remote, kind requestKind, err error) {
	address := r.RemoteAddr // has the port
	if from.address != remoteAddr(address) {
		address = from.address.String()
	}
	challenge, reason, why := `Bearer error="invalid_token"`, refusedToken, token.Reason(err)
	switch {
	case errors.Is(err, errNoToken):
		challenge, why = "Bearer", string(token.ErrMissing)
	case errors.Is(err, token.ErrUnavailable): // the token may be good: the client keeps it and comes back
		challenge, reason = "", refusedKeys
		w.Header().Set("Retry-After", "1")
	case errors.Is(err, errTwoTokens):
		challenge, reason, why = `Bearer error="invalid_request"`, refusedTwoTokens, refusals[refusedTwoTokens].label
	}
	if entry := h.log.Check(zapcore.DebugLevel, "request refused"); entry != nil {
		entry.Write(zap.Stringer("request", kind), zap.String("reason", why),
			zap.String("claim", token.Claim(err)), zap.String("remote", address))
	}
	h.options.Refused(address, why, token.Claim(err))
	if challenge != "" {
		w.Header().Set("WWW-Authenticate", challenge)
	}
	h.metrics.refused[kind][reason].Inc()
	w.WriteHeader(refusals[reason].status)
}
