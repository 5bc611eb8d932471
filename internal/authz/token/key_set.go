package token

import (
	"context"
	"crypto"
	"encoding/json"
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

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/zap"
)

// How key sets are read.
const (
	jwksRefresh = 5 * time.Minute  // while all is well
	jwksRetry   = 20 * time.Second // after a failure
	jwksPause   = time.Second      // between two readings, whoever wants them
	jwksTimeout = 5 * time.Second
	jwksBytes   = 1 << 20
	jwksKeys    = 64
	jwksWaiting = 4096 // tokens with an unknown key that wait for a reading; the next ones are refused at once
)

// KeySetOptions is a key set behind a URL (RFC 7517, section 5).
type KeySetOptions struct {
	URL string
	// Issuer is the value of iss whose tokens the keys of this set verify; no other key then does. Empty: the keys
	// verify the tokens of every accepted issuer that has no key set of its own.
	Issuer string
}

// ParseKeySet reads a key set as configuration carries it: URL, or ISSUER and URL with a space between them.
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
		return errors.New("key set: not an http or https URL")
	}
	return nil
}

// insecure says that the keys travel unprotected: whoever is on the way can replace them by his own.
func (s *KeySetOptions) insecure() bool {
	u, err := url.Parse(s.URL)
	if err != nil || u.Scheme == "https" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback())
}

// keySet is what is known of a KeySetOptions. Readings follow each other; a failed one leaves the keys of the last good one.
type keySet struct {
	KeySetOptions
	client  *http.Client
	changed func() // called when the keys are no longer the same
	logger  *zap.Logger
	metrics *keySetMetrics
	ctx     context.Context // of readings; ended by run
	cancel  context.CancelFunc

	keys    atomic.Pointer[[]setKey] // nil before the first good reading
	failing atomic.Bool              // the last reading failed; set by whoever reads
	waiting atomic.Int32             // callers of refresh

	mu   sync.Mutex
	next *reading // guarded by mu: a reading that has not begun; nil: nobody wants one

	turn  chan struct{} // holds one element while a reading is under way
	began time.Time     // owned by whoever has the turn
}

// reading is one request for the key set, shared by everybody who asked for it before it began.
type reading struct{ done chan struct{} }

// setKey is one key of a key set.
type setKey struct {
	id        string // empty: any
	algorithm string // empty: any that fits the key
	key       crypto.PublicKey
}

func newKeySet(set KeySetOptions, changed func(), logger *zap.Logger, metrics *keySetMetrics) *keySet {
	ctx, cancel := context.WithCancel(context.Background()) //nolint:gosec // run calls it; without run there is nothing to end
	return &keySet{
		KeySetOptions: set, changed: changed, logger: logger, metrics: metrics, ctx: ctx, cancel: cancel,
		turn: make(chan struct{}, 1),
		client: &http.Client{
			Timeout: jwksTimeout,
			// One request in minutes is not worth an open connection.
			Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true},
			// The operator named the place of the keys; nobody else may.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// run reads the set now and again from time to time until ctx ends. Then a reading that is under way is given up, and
// there are no more.
func (s *keySet) run(ctx context.Context) {
	defer context.AfterFunc(ctx, s.cancel)()
	for {
		s.refresh()
		pause := jwksRefresh
		if s.failing.Load() {
			pause = jwksRetry
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// find returns the keys that may have signed a token with this key id and algorithm. known is false if the set should
// be read again before the token is refused: it does not have the key, or it was never read.
func (s *keySet) find(keyID, algorithm string) (found []jwt.VerificationKey, known bool) {
	keys := s.keys.Load()
	if keys == nil {
		return nil, false
	}
	known = keyID == ""
	for _, k := range *keys {
		known = known || k.id == keyID
		if (k.id == "" || keyID == "" || k.id == keyID) && (k.algorithm == "" || k.algorithm == algorithm) {
			found = append(found, fitting(algorithm, []crypto.PublicKey{k.key})...)
		}
	}
	return found, known
}

// refresh returns after a reading that began after the call. Callers share readings: of a thousand who ask at once one
// reads. It returns at once if too many wait already.
func (s *keySet) refresh() {
	if s.waiting.Add(1) > jwksWaiting {
		s.waiting.Add(-1)
		return
	}
	defer s.waiting.Add(-1)
	s.mu.Lock()
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

// read carries out a reading, when it is its turn.
func (s *keySet) read(r *reading) {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	defer close(r.done)
	if !s.began.IsZero() {
		time.Sleep(time.Until(s.began.Add(jwksPause)))
	}
	s.began = time.Now()
	s.mu.Lock()
	s.next = nil // whoever asks from here on asks for another reading
	s.mu.Unlock()
	keys, err := s.fetch()
	if err != nil {
		s.metrics.failed.Inc()
		if !s.failing.Swap(true) {
			s.logger.Warn("key set cannot be read, the last good one stays in force", zap.Error(err))
		}
		return
	}
	s.metrics.read.Inc()
	if s.failing.Swap(false) {
		s.logger.Info("key set can be read again", zap.String("url", s.URL))
	}
	if before := s.keys.Swap(&keys); before == nil || !sameKeys(*before, keys) {
		s.logger.Info("key set is in force", zap.String("url", s.URL), zap.Int("keys", len(keys)))
		s.changed()
	}
}

// fetch asks for the set. A set without a usable key is an error.
func (s *keySet) fetch() ([]setKey, error) {
	request, err := http.NewRequestWithContext(s.ctx, http.MethodGet, s.URL, http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: status %d", s.URL, response.StatusCode)
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, jwksBytes+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.URL, err)
	}
	if len(data) > jwksBytes {
		return nil, fmt.Errorf("%s: more than %d bytes", s.URL, jwksBytes)
	}
	keys, err := parseKeySet(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.URL, err)
	}
	return keys, nil
}

// parseKeySet reads the keys of a set that are fit to verify a signature. The others, among them secrets, keys for
// encryption and keys that are too weak, are passed over: a set often serves several purposes.
func parseKeySet(data []byte) ([]setKey, error) {
	var set jwkset.JWKSMarshal
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, errors.New("not a JSON web key set")
	}
	var keys []setKey
	for i := range set.Keys {
		key, err := jwkset.NewJWKFromMarshal(set.Keys[i], jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
		if err != nil {
			continue
		}
		marshal := key.Marshal()
		if marshal.USE != "" && marshal.USE != jwkset.UseSig ||
			len(marshal.KEYOPS) > 0 && !slices.Contains(marshal.KEYOPS, jwkset.KeyOpsVerify) || !usable(key.Key()) {
			continue
		}
		keys = append(keys, setKey{id: marshal.KID, algorithm: marshal.ALG.String(), key: key.Key()})
	}
	if len(keys) == 0 {
		return nil, errors.New("no key that can verify a signature")
	}
	if len(keys) > jwksKeys {
		return nil, fmt.Errorf("more than %d keys", jwksKeys)
	}
	return keys, nil
}

func sameKeys(a, b []setKey) bool {
	return slices.EqualFunc(a, b, func(x, y setKey) bool {
		equal, ok := x.key.(interface{ Equal(crypto.PublicKey) bool })
		return ok && x.id == y.id && x.algorithm == y.algorithm && equal.Equal(y.key)
	})
}
