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
	// errTwoTokens says that a request carries different tokens in different places. It is refused: which of them
	// counts would be a matter of taste, and a proxy that checks one could be walked around with the other.
	errTwoTokens = errors.New("different tokens in one request")
)

// authenticate finds and checks the token of a request (1.2).
func (h *Handler) authenticate(r *http.Request, q query) (*authz.Claims, error) {
	token, err := bearer(r.Header.Values("Authorization"), q)
	if err != nil {
		return nil, err
	}
	if v := takeVerified(r.Context(), token); v != nil {
		return v.claims, v.err
	}
	return h.options.Verifier.Verify(token)
}

// bearer is the token of a request: from the header Authorization (RFC 6750 section 2.1), whose values are given, or, as
// browsers cannot set it for a WebSocket, from the query parameter access_token (section 2.3).
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

// headerTokens are the tokens of the scheme Bearer. Other schemes are not ours.
func headerTokens(authorization []string) []string {
	var tokens []string
	for _, value := range authorization {
		if scheme, token, _ := strings.Cut(value, " "); strings.EqualFold(scheme, "Bearer") {
			tokens = append(tokens, strings.TrimSpace(token))
		}
	}
	return tokens
}

// refuseToken answers a request without a good token (RFC 6750 section 3), before anything is upgraded. Neither the
// answer nor the log repeats anything of the token.
func (h *Handler) refuseToken(w http.ResponseWriter, r *http.Request, kind requestKind, err error) {
	challenge, reason, why := `Bearer error="invalid_token"`, refusedToken, token.Reason(err)
	switch {
	case errors.Is(err, errNoToken):
		challenge, why = "Bearer", string(token.ErrMissing)
	case errors.Is(err, errTwoTokens):
		challenge, reason, why = `Bearer error="invalid_request"`, refusedTwoTokens, refusals[refusedTwoTokens].label
	}
	if entry := h.log.Check(zapcore.DebugLevel, "request refused"); entry != nil {
		entry.Write(zap.Stringer("request", kind), zap.String("reason", why),
			zap.String("remote", r.RemoteAddr))
	}
	h.options.Refused(r.RemoteAddr, why)
	w.Header().Set("WWW-Authenticate", challenge)
	h.metrics.refused[kind][reason].Inc()
	if kind == requestRefresh {
		answerRefresh(w, refusals[reason].status, `{"error":"invalid_token"}`)
		return
	}
	w.WriteHeader(refusals[reason].status)
}
