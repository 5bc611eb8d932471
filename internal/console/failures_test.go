package console_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rte-server/rte-server/internal/console"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// guess sends a request with a token from an address.
func guess(s *console.Server, address, token string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "http://rte.example/api/connections", http.NoBody)
	r.RemoteAddr = address
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func TestServer_refusesAnAddressWithManyWrongTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		s := mustNew(t, console.Options{
			Readiness: console.NewReadiness(), Gatherer: prometheus.NewRegistry(), Registerer: reg,
			Operations: console.Operations{Connections: echo}, Token: "of operators",
		})
		for n := range 10 {
			if w := guess(s, "192.0.2.1:"+strconv.Itoa(1000+n), "wrong"); w.Code != http.StatusUnauthorized {
				t.Fatalf("wrong token %d: %d", n, w.Code)
			}
		}
		began := time.Now()
		w := guess(s, "192.0.2.1:2000", "wrong")
		if after, err := strconv.Atoi(w.Header().Get("Retry-After")); w.Code != http.StatusTooManyRequests || err != nil ||
			after < 50 || after > 60 || time.Since(began) != 0 {
			t.Errorf("after 10 wrong tokens: %d, Retry-After %q, after %s", w.Code, w.Header().Get("Retry-After"),
				time.Since(began))
		}
		for name, test := range map[string]struct {
			address, token string
			status         int
		}{
			"a right token from the same address": {"192.0.2.1:2001", "of operators", http.StatusOK},
			"another address":                     {"192.0.2.2:2001", "wrong", http.StatusUnauthorized},
			"no token":                            {"192.0.2.1:2001", "", http.StatusUnauthorized},
		} {
			if w := guess(s, test.address, test.token); w.Code != test.status {
				t.Errorf("%s: %d, want %d", name, w.Code, test.status)
			}
		}
		time.Sleep(time.Minute)
		if w := guess(s, "192.0.2.1:2002", "wrong"); w.Code != http.StatusUnauthorized {
			t.Errorf("a minute later: %d", w.Code)
		}
	})
}

// An attacker has a whole network of IPv6, and can have many addresses.
func TestServer_boundsTheAddressesWithWrongTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		s := mustNew(t, console.Options{
			Readiness: console.NewReadiness(), Gatherer: prometheus.NewRegistry(), Registerer: reg, Token: "of operators",
		})
		for n := range 20 {
			w := guess(s, fmt.Sprintf("[2001:db8::%x]:1", n+1), "wrong")
			if (w.Code == http.StatusTooManyRequests) != (n >= 10) {
				t.Fatalf("wrong token %d of a network: %d", n, w.Code)
			}
		}
		var refused atomic.Int64
		for n := range 5000 {
			go func() { // each waits half a second before its answer
				if w := guess(s, fmt.Sprintf("10.0.%d.%d:1", n/256, n%256), "wrong"); w.Code == http.StatusTooManyRequests {
					refused.Add(1)
				}
			}()
		}
		time.Sleep(time.Second)
		if got := rtetest.MustReadMetric(t, reg, "rte_console_failing_addresses"); got > 4097 || refused.Load() < 800 {
			t.Errorf("%v addresses are remembered, %d requests refused", got, refused.Load())
		}
	})
}
