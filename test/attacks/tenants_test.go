package attacks

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// attacksOnTenants are attacks with what one organization, or everybody, can send, on what all organizations share.
func attacksOnTenants() []attack {
	return []attack{
		{name: "tokens without kid", prepare: (*stage).serveKeys, run: (*stage).runWithoutKeyID},
		{
			name: "snapshot memory", run: (*stage).runSnapshots, check: (*stage).checkSnapshots,
			settings: rtetest.Settings{"snapshots.memory_bytes": "1MiB"},
		},
		{
			name: "unknown entities", prepare: (*stage).serveDirectory, run: (*stage).runUnknownEntities,
			check: (*stage).checkSubscribes,
		},
	}
}

// serve starts an HTTP server of the attacker until the test ends.
func (s *stage) serve(handler http.HandlerFunc) (url string) {
	server := httptest.NewServer(handler)
	s.t.Cleanup(server.Close)
	return server.URL
}

// serveKeys serves a key set of 64 keys without ids.
func (s *stage) serveKeys() rtetest.Settings {
	encode := base64.RawURLEncoding.EncodeToString
	var keys []map[string]string
	for range 64 {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			s.t.Fatal(err)
		}
		point, err := key.PublicKey.Bytes()
		if err != nil {
			s.t.Fatal(err)
		}
		keys = append(keys, map[string]string{
			"kty": "EC", "crv": "P-256", "alg": "ES256", "x": encode(point[1:33]), "y": encode(point[33:]),
		})
	}
	document, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		s.t.Fatal(err)
	}
	return rtetest.Settings{"auth.jwks_url": s.serve(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(document) // the server repeats a reading that fails
	})}
}

// runWithoutKeyID shows tokens without kid, each with another signature.
func (s *stage) runWithoutKeyID() {
	client, done := s.newHTTPClient()
	defer done()
	encode := base64.RawURLEncoding.EncodeToString
	payload := encode(fmt.Appendf(nil, `{"iss":%q,"aud":%q,"sub":%q,"exp":%d}`,
		rtetest.Issuer, rtetest.Audience, events.NewID(), time.Now().Add(time.Hour).Unix()))
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			signature := make([]byte, 64)
			for n := 0; n < s.of(2000, 30) && s.ctx.Err() == nil; n++ {
				_, _ = rand.Read(signature) // never fails
				s.send("negotiate", 1)
				s.request(client, http.MethodPost, s.srv.HubURL+"/negotiate?negotiateVersion=1",
					encode([]byte(`{"alg":"ES256"}`))+"."+payload+"."+encode(signature))
			}
		})
	}
	all.Wait()
}

// state returns a UserStatus of some size.
func state(organization, user events.ID, size int) []byte {
	return fmt.Appendf(nil, `{"OrganizationId":%q,"EventType":"UserStatus","EntityType":"User","EntityId":%q,`+
		`"MessageTTLSeconds":600,"Id":%q,"Padding":%q}`, organization, user, events.NewID(), strings.Repeat("x", size))
}

// runSnapshots fills the memory for last states with those of one organization, while a client of the other one asks
// for a state that was published before.
func (s *stage) runSnapshots() {
	client := s.redis.Client()
	defer client.Close()
	user := events.NewID()
	if err := client.Publish(s.ctx, "rte:org:"+s.others.String(), state(s.others, user, 10)).Err(); err != nil {
		s.t.Error(err)
		return
	}
	var all sync.WaitGroup
	all.Go(func() {
		for n := 0; n < s.of(20_000, 2000) && s.ctx.Err() == nil; n++ {
			if err := client.Publish(s.ctx, "rte:org:"+s.here.String(), state(s.here, events.NewID(), 1000)).Err(); err != nil {
				return
			}
			s.send("states of 1 KB", 1)
			if n%20 == 19 {
				pause(s.ctx, 10*time.Millisecond)
			}
		}
	})
	token := rtetest.MustToken(s.t, authz.Claims{Organization: s.others, Role: authz.RoleService})
	for n := 0; n < s.of(100, 10) && s.ctx.Err() == nil; n++ {
		if s.takesSnapshot(token, user) {
			s.answer("snapshots", 1)
		} else if s.ctx.Err() == nil {
			s.answer("snapshots that are missing", 1)
		}
		pause(s.ctx, 50*time.Millisecond)
	}
	all.Wait()
}

// takesSnapshot subscribes to a user and reports whether the last state follows the answer.
func (s *stage) takesSnapshot(token string, user events.ID) bool {
	ctx, cancel := context.WithTimeout(s.ctx, rtetest.Patience)
	defer cancel()
	c, err := dialHub(ctx, s.srv.Host, token, "?features=snapshot")
	if err != nil {
		return false
	}
	defer c.conn.Close()
	if c.send(subscribe(user)) != nil {
		return false
	}
	for {
		payload, err := c.read()
		if err != nil {
			return false
		}
		if bytes.Contains(payload, []byte(`"MessageReceived"`)) {
			return true
		}
	}
}

// subscribe returns a Subscribe of one user.
func subscribe(user events.ID) string {
	return fmt.Sprintf(
		`{"type":1,"invocationId":"s","target":"Subscribe","arguments":[[{"EntityId":%q,"EventName":"UserStatus"}]]}`, user)
}

func (s *stage) checkSnapshots() {
	if s.answered["snapshots"] == 0 || s.answered["snapshots that are missing"] > 0 {
		s.t.Errorf("the other organization got %v", s.answered)
	}
}

// serveDirectory serves a directory that takes 50 ms for each answer. It knows the entities of the healthy clients, and
// no others.
func (s *stage) serveDirectory() rtetest.Settings {
	url := s.serve(func(w http.ResponseWriter, r *http.Request) {
		var query struct{ IDs []string }
		body, err := io.ReadAll(r.Body)
		if err != nil || json.Unmarshal(body, &query) != nil {
			http.Error(w, "malformed", http.StatusBadRequest)
			return
		}
		pause(r.Context(), 50*time.Millisecond)
		entities := []map[string]string{}
		for _, id := range query.IDs {
			if organization, ok := s.known.Load(strings.ToLower(id)); ok {
				entities = append(entities, map[string]string{"id": id, "kind": "User", "organization": fmt.Sprint(organization)})
			}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"entities": entities}) // the server repeats a reading that fails
	})
	return rtetest.Settings{"directory.kind": "http", "directory.url": url}
}

// runUnknownEntities subscribes to invented entities on many connections of one user, while clients of the other
// organization subscribe.
func (s *stage) runUnknownEntities() {
	token := rtetest.MustToken(s.t, authz.Claims{Organization: s.here, Role: authz.RoleService})
	var all sync.WaitGroup
	attack, stop := context.WithCancel(s.ctx)
	for range s.of(40, 6) {
		all.Go(func() {
			c, err := dialHub(attack, s.srv.Host, token, "")
			if err != nil {
				return
			}
			defer c.conn.Close()
			for attack.Err() == nil {
				if c.send(invented(200)) != nil {
					return
				}
				s.send("Subscribe of 200 unknown", 1)
				if _, err := c.read(); err != nil {
					return
				}
			}
		})
	}
	other := rtetest.MustToken(s.t, authz.Claims{Organization: s.others, Role: authz.RoleService})
	var slowest time.Duration
	for n := 0; n < s.of(60, 5) && s.ctx.Err() == nil; n++ {
		user := events.NewID()
		s.known.Store(user.String(), s.others)
		began := time.Now()
		if !s.subscribes(other, user) {
			s.answer("Subscribes of others refused", 1)
			continue
		}
		slowest = max(slowest, time.Since(began))
		s.answer("Subscribes of others granted", 1)
	}
	stop()
	all.Wait()
	s.t.Logf("the slowest Subscribe of the other organization took %v", slowest)
	if limit := s.slowestSubscribe(); slowest > limit {
		s.t.Errorf("a Subscribe of the other organization took %v, want at most %v", slowest, limit)
	}
}

// slowestSubscribe is the bound of a Subscribe of the other organization: its own reading of the directory, one that
// runs already, and the time of a busy machine.
func (s *stage) slowestSubscribe() time.Duration {
	if s.full {
		return 500 * time.Millisecond
	}
	return shortSlowest
}

// subscribes reports whether a Subscribe is granted.
func (s *stage) subscribes(token string, user events.ID) bool {
	c, err := dialHub(s.ctx, s.srv.Host, token, "")
	if err != nil {
		return false
	}
	defer c.conn.Close()
	if c.send(subscribe(user)) != nil {
		return false
	}
	for {
		payload, err := c.read()
		if err != nil {
			return false
		}
		if bytes.Contains(payload, []byte(`"type":3`)) {
			return bytes.Contains(payload, []byte(`"subscribed":true`))
		}
	}
}

func (s *stage) checkSubscribes() {
	if s.answered["Subscribes of others granted"] == 0 || s.answered["Subscribes of others refused"] > 0 {
		s.t.Errorf("the other organization got %v", s.answered)
	}
}
