package token

import (
	"errors"
	"strings"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/zap"
)

// ReadKeySet reads a key set. It returns the key ids and algorithms of its keys, and the key ids and reasons of the
// skipped entries; an entry with something wrong begins with an exclamation mark.
func ReadKeySet(data []byte) (keys, skipped []string, err error) {
	read, skips, err := parseKeySet(data)
	for _, key := range read {
		keys = append(keys, strings.TrimSpace(key.id+" "+key.algorithm))
	}
	for _, skip := range skips {
		mark := ""
		if skip.wrong {
			mark = "!"
		}
		skipped = append(skipped, mark+skip.id+": "+skip.reason)
	}
	return keys, skipped, err
}

// Members splits a JSON object into its members.
func Members(data []byte) (map[string]string, error) {
	o, err := parseObject(data)
	members := map[string]string{}
	for _, m := range o {
		members[string(m.name)] = string(m.value)
	}
	return members, err
}

// KnownHeaders returns the number of cached headers.
func (v *Verifier) KnownHeaders() int {
	if list := v.headers.list.Load(); list != nil {
		return len(*list)
	}
	return 0
}

// Candidates returns the number of keys that are tried for a token.
func (v *Verifier) Candidates(issuer, keyID, algorithm string) int {
	var stale []*keySet
	keys, _ := v.keys(v.secrets.Load(), &header{method: jwt.GetSigningMethod(algorithm), keyID: keyID}, issuer, &stale)
	return len(keys)
}

// Waiting returns the number of callers that wait for a reading of the first key set.
func (v *Verifier) Waiting() int { return int(v.keySets[0].waiting.Load()) }

// HasKeysOrReading reports whether a token that comes now finds keys of the first key set, or a reading to wait for.
func (v *Verifier) HasKeysOrReading() bool {
	s := v.keySets[0]
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current != nil || s.known()
}

// ReportFailures returns a function that reports a failure of a key set that was never read.
func ReportFailures(logger *zap.Logger) func() {
	set := newKeySet(KeySetOptions{URL: "https://a.test"}, nil, logger, newKeySetMetrics(nil))
	return func() { set.reportFailure(errors.New("away")) }
}
