package transport_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/authz/token"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/hub"
	"github.com/rte-server/rte-server/internal/transport"
)

// crowd verifies the tokens "ORGANIZATION USER", numbers both.
type crowd struct{}

func (crowd) Verify(text string) (*authz.Claims, error) {
	var organization, user int
	if _, err := fmt.Sscanf(text, "%d %d", &organization, &user); err != nil {
		return nil, token.ErrSignature
	}
	return &authz.Claims{
		Organization: events.ID{1, byte(organization)}, User: events.ID{2, byte(user >> 8), byte(user)},
	}, nil
}

// reconnectDelays are those of withAutomaticReconnect in Microsoft's clients for JavaScript and .NET. After the last
// one a client gives up.
var reconnectDelays = []time.Duration{0, 2 * time.Second, 10 * time.Second, 30 * time.Second}

// storm is a crowd of stock clients that have lost their connections at the same moment.
type storm struct {
	handler http.Handler
	start   time.Time

	mu     sync.Mutex
	in     []time.Duration       // since start, of all clients, in order
	last   map[int]time.Duration // by organization
	gaveUp int
	status map[int]int
}

// reconnect acts as one client until it is in or gives up.
func (s *storm) reconnect(organization, user int) {
	for _, delay := range reconnectDelays {
		time.Sleep(delay)
		r := httptest.NewRequest(http.MethodPost, "/rte/negotiate?negotiateVersion=1", nil)
		r.RemoteAddr = fmt.Sprintf("198.51.%d.%d:4711", user>>8, user&0xff)
		r.Header.Set("Authorization", fmt.Sprintf("Bearer %d %d", organization, user))
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		s.mu.Lock()
		s.status[w.Code]++
		if w.Code == http.StatusOK {
			since := time.Since(s.start)
			s.in, s.last[organization] = append(s.in, since), since
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		if w.Header().Get("Retry-After") == "" {
			s.mu.Lock()
			s.status[-1]++
			s.mu.Unlock()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gaveUp++
}

// 4,000 of 4,000 stock clients gave up after 44 s: a node refused what it could not take at once. Now 10,000 come back
// at once. They come in at the rate, none is out for longer than 40 s, none gives up, and a small organization does not
// wait for a large one.
func TestStorm_ofStockClientsComesInAtTheRate(t *testing.T) {
	const small = 10 // organizations of 10 clients
	for _, rate := range []int{300, 500} {
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, err := transport.New(transport.Options{
					Verifier:  crowd{},
					Open:      func(hub.Conn, *authz.Claims) (transport.Session, error) { panic("no upgrade") },
					Admission: transport.AdmissionOptions{Rate: rate, Burst: 20, Wait: 20 * time.Second},
				})
				if err != nil {
					t.Fatal(err)
				}
				s := &storm{handler: h, start: time.Now(), last: map[int]time.Duration{}, status: map[int]int{}}
				var clients sync.WaitGroup
				for user := range 10_000 {
					organization := 0
					if user >= 10_000-10*small {
						organization = 1 + user%small
					}
					clients.Go(func() { s.reconnect(organization, user) })
				}
				clients.Wait()
				t.Logf("answers by status: %v", s.status)
				if s.gaveUp > 0 || s.status[-1] > 0 {
					t.Errorf("%d clients gave up, %d answers without Retry-After", s.gaveUp, s.status[-1])
				}
				if last := s.in[len(s.in)-1]; last > 40*time.Second {
					t.Errorf("a client was out for %s", last)
				}
				perSecond := map[int]int{}
				for _, in := range s.in {
					perSecond[int(in/time.Second)]++
				}
				for second := 1; second < int(s.in[len(s.in)-1]/time.Second); second++ {
					if n := perSecond[second]; n < rate*95/100 || n > rate*105/100 {
						t.Errorf("second %d: %d clients came in, want %d", second, n, rate)
					}
				}
				for organization := 1; organization <= small; organization++ {
					if last := s.last[organization]; last > 2*time.Second {
						t.Errorf("a small organization waited for %s", last)
					}
				}
			})
		})
	}
}
