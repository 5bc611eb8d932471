package token

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/zap"
)

// Times and bounds of reading key sets.
const (
	keySetRefresh = 5 * time.Minute  // between two readings
	keySetRetry   = 20 * time.Second // after a failure
	keySetStart   = 2 * time.Second  // after a failure of a set that was never read: the node waits for it
	keySetPause   = time.Second      // at least, between two readings for any reason
	keySetReport  = time.Minute      // between two log entries while it cannot be read
	keySetTimeout = 5 * time.Second
	maxKeySet     = 1 << 20 // bytes
	maxWaiting    = 4096    // tokens with an unknown key that wait for a reading; further ones do not wait
	maxReported   = 8       // skipped entries in the log, for each version of the set
	maxReportedID = 100     // bytes of a key id in the log
)

// KeySetOptions name a key set behind a URL (RFC 7517, section 5).
type KeySetOptions struct {
	URL string
	// Issuer is the value of iss whose tokens this set verifies; no other key then verifies them. It may contain
	// {tenantid}, which stands for each tenant. Empty: the set verifies the tokens of every accepted issuer that has no
	// set of its own.
	Issuer string
}

// ParseKeySet reads a key set from configuration: URL, or ISSUER and URL with a space between them.
func ParseKeySet(text string) (KeySetOptions, error) {
	var set KeySetOptions
	switch parts := strings.Fields(text); len(parts) {
	case 1:
		set.URL = parts[0]
	case 2:
		set.Issuer, set.URL = parts[0], parts[1]
	default:
		return KeySetOptions{}, errors.New("want URL, or ISSUER and URL with a space between them")
	}
	return set, set.check()
}

func (s *KeySetOptions) check() error {
	u, err := url.Parse(s.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("not an http or https URL")
	}
	if strings.ContainsAny(s.URL, "{}") {
		return errors.New("a URL has no placeholder; identity providers with many tenants publish one set for all")
	}
	return nil
}

// insecure reports whether the keys travel unprotected, so that anyone on the way can replace them.
func (s *KeySetOptions) insecure() bool {
	u, err := url.Parse(s.URL)
	if err != nil || u.Scheme == "https" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback())
}

// host returns the host in the URL: the rest may have a secret.
func (s *KeySetOptions) host() string {
	u, err := url.Parse(s.URL)
	if err != nil {
		return ""
	}
	return u.Host
}

// keySet holds the keys of a set. Its readings follow each other. A failed reading leaves the keys of the last good one
// in force.
type keySet struct {
	KeySetOptions
	client  *http.Client
	changed func() // called when the keys have changed
	logger  *zap.Logger
	metrics *keySetMetrics
	ctx     context.Context // of readings; run ends it
	cancel  context.CancelFunc

	keys    atomic.Pointer[[]setKey] // nil before the first good reading
	failing atomic.Bool              // the last reading failed
	waiting atomic.Int32             // callers of refresh

	mu      sync.Mutex
	next    *reading  // guarded by mu: a reading that has not begun, or nil
	current *reading  // guarded by mu: the reading in progress, or nil
	failed  time.Time // guarded by mu: the end of the last reading, if it failed

	// Owned by the holder of the turn.
	turn     chan struct{} // holds one element while a reading is in progress
	began    time.Time
	reported time.Time // of the last log entry about a failure
	skipped  []skippedKey
}

// reading is one reading of a key set, shared by all callers that asked for it before it began.
type reading struct{ done chan struct{} }

func newKeySet(set KeySetOptions, changed func(), logger *zap.Logger, metrics *keySetMetrics) *keySet {
	ctx, cancel := context.WithCancel(context.Background())
	return &keySet{
		KeySetOptions: set, changed: changed, logger: logger.With(zap.String("url", set.URL)), metrics: metrics,
		ctx: ctx, cancel: cancel, turn: make(chan struct{}, 1),
		client: &http.Client{
			Timeout: keySetTimeout,
			// One request in minutes does not justify an open connection.
			Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true},
			// The operator configured the location of the keys; a redirect must not change it.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// run reads the set at once and then periodically until ctx ends. Then it cancels a reading in progress, and no further
// reading succeeds.
func (s *keySet) run(ctx context.Context) {
	defer context.AfterFunc(ctx, s.cancel)()
	for {
		s.refresh()
		pause := keySetRefresh
		switch {
		case !s.known():
			pause = keySetStart
		case s.failing.Load():
			pause = keySetRetry
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// known reports whether the set was ever read.
func (s *keySet) known() bool { return s.keys.Load() != nil }

// find appends the keys that may have signed a token with this key id and algorithm: to named those with the key id, to
// unnamed those that have no key id or, for a token without one, all. known is false if the set should be read again
// before the token is refused: it does not have the key, or was never read.
func (s *keySet) find(
	keyID, algorithm string, named, unnamed []jwt.VerificationKey,
) (_, _ []jwt.VerificationKey, known bool) {
	keys := s.keys.Load()
	if keys == nil {
		return named, unnamed, false
	}
	known = keyID == ""
	fits := keyAlgorithms[algorithm]
	for i := range *keys {
		k := &(*keys)[i]
		known = known || k.id == keyID
		if k.algorithm != "" && k.algorithm != algorithm || !fits(k.key) {
			continue
		}
		switch {
		case keyID != "" && k.id == keyID:
			named = append(named, k.key)
		case keyID == "" || k.id == "":
			unnamed = append(unnamed, k.key)
		}
	}
	return named, unnamed, known
}

// refresh returns after a reading that began after the call. Callers share readings: of a thousand concurrent callers
// one reads. A set that was never read needs no newer reading than the one in progress, and is not read again at once
// after a failure. refresh returns at once if too many callers wait.
func (s *keySet) refresh() {
	if s.waiting.Add(1) > maxWaiting {
		s.waiting.Add(-1)
		return
	}
	defer s.waiting.Add(-1)
	s.mu.Lock()
	if !s.known() {
		if r := s.current; r != nil {
			s.mu.Unlock()
			<-r.done
			return
		}
		if !s.failed.IsZero() && time.Since(s.failed) < keySetPause {
			s.mu.Unlock()
			return
		}
	}
	r, mine := s.next, s.next == nil
	if mine {
		r = &reading{done: make(chan struct{})}
		s.next = r
	}
	s.mu.Unlock()
	if mine {
		s.read(r)
	}
	<-r.done
}

// read carries out a reading when it gets its turn.
func (s *keySet) read(r *reading) {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	defer close(r.done)
	if !s.began.IsZero() {
		time.Sleep(time.Until(s.began.Add(keySetPause)))
	}
	s.began = time.Now()
	s.mu.Lock()
	s.next, s.current = nil, r // later callers need another reading
	s.mu.Unlock()
	keys, skipped, err := s.fetch()
	s.reportSkipped(skipped)
	if err != nil {
		s.metrics.failed.Inc()
		s.reportFailure(err)
	} else {
		s.enforce(keys)
	}
	// Only now: a caller that found neither keys nor a reading would wait for another reading.
	s.mu.Lock()
	s.current, s.failed = nil, time.Time{}
	if err != nil {
		s.failed = time.Now()
	}
	s.mu.Unlock()
}

// enforce puts the keys of a reading into force.
func (s *keySet) enforce(keys []setKey) {
	s.metrics.read.Inc()
	if s.failing.Swap(false) {
		s.logger.Info("key set can be read again")
	}
	if before := s.keys.Swap(&keys); before == nil || !sameKeys(*before, keys) {
		s.logger.Info("key set is in force", zap.Int("keys", len(keys)))
		s.changed()
	}
}

// reportFailure logs a failure, once per interval.
func (s *keySet) reportFailure(err error) {
	if s.failing.Swap(true) && time.Since(s.reported) < keySetReport {
		return
	}
	s.reported = time.Now()
	if !s.known() {
		s.logger.Error("key set was never read, tokens of its issuers are answered with 503", zap.Error(err))
		return
	}
	s.logger.Warn("key set cannot be read, the last good one stays in force", zap.Error(err))
}

// reportSkipped logs the skipped entries when they are others than those of the last reading.
func (s *keySet) reportSkipped(skipped []skippedKey) {
	if slices.Equal(skipped, s.skipped) {
		return
	}
	s.skipped = skipped
	for _, key := range skipped[:min(len(skipped), maxReported)] {
		log := s.logger.Debug
		if key.wrong {
			log = s.logger.Warn
		}
		log("a key of the key set is skipped",
			zap.String("kid", key.id[:min(len(key.id), maxReportedID)]), zap.String("reason", key.reason))
	}
}

// fetch reads the set. A set without a usable key is an error.
func (s *keySet) fetch() ([]setKey, []skippedKey, error) {
	request, err := http.NewRequestWithContext(s.ctx, http.MethodGet, s.URL, http.NoBody)
	if err != nil {
		return nil, nil, err
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	response, err := s.client.Do(request)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("status %d", response.StatusCode)
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, maxKeySet+1))
	if err != nil {
		return nil, nil, err
	}
	if len(data) > maxKeySet {
		return nil, nil, fmt.Errorf("more than %d bytes", maxKeySet)
	}
	return parseKeySet(data)
}
