package directory_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rte-server/rte-server/internal/authz/directory"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// mustHTTP makes a cached directory whose source is an API with this handler.
func mustHTTP(
	tb testing.TB, handler http.HandlerFunc, o directory.HTTPSourceOptions, c directory.CachedOptions,
) *directory.Cached {
	tb.Helper()
	api := httptest.NewServer(handler)
	tb.Cleanup(api.Close)
	o.URL = api.URL + "/directory"
	s, err := directory.NewHTTPSource(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Close)
	c.Source = s
	return mustCached(tb, c)
}

func TestHTTPSource_protocol(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	registry := prometheus.NewPedanticRegistry()
	d := mustHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		var lookup struct{ IDs []string }
		if err := json.NewDecoder(r.Body).Decode(&lookup); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(
			[]string{queue.String(), me.String(), callList.String(), unknownEntity.String()}, lookup.IDs,
		); diff != "" {
			t.Error(diff)
		}
		if r.Method != http.MethodPost || r.URL.Path != "/directory" || r.Header.Get("Authorization") != "Bearer sesame" ||
			r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("got %s %s, %v", r.Method, r.URL, r.Header)
		}
		fmt.Fprintf(w, `{"entities": [
			{"id": %q, "kind": "User", "organization": %q, "name": 7, "email": "ignored"},
			{"id": %q, "kind": "Queue", "organization": %q, "members": [%q, %q]},
			{"id": %q, "kind": "Nonsense", "organization": %q},
			{"id": "not requested"},
			{"id": %q, "kind": 3, "organization": null, "members": "none"},
			"no object"]}`, me, home, strings.ToUpper(queue.String()), home, me, colleague, callList, home, unknownEntity)
	}, directory.HTTPSourceOptions{
		Token: "sesame", Logger: zap.New(core), Registerer: registry,
	}, directory.CachedOptions{})
	want := []directory.Entity{
		{State: directory.StateKnown, Kind: events.KindQueue, Organization: home, Member: true},
		{State: directory.StateKnown, Kind: events.KindUser, Organization: home},
		{},
		{},
	}
	if diff := cmp.Diff(want, lookup(t, d, agentOfHome, queue, me, callList, unknownEntity)); diff != "" {
		t.Error(diff)
	}
	if n := rtetest.MustReadMetric(t, registry, "rte_authz_directory_malformed_total"); n != 4 {
		t.Errorf("%v malformed entities are counted", n)
	}
	if logs.FilterMessageSnippet("record").Len() != 1 || strings.Contains(fmt.Sprint(logs.All()), "sesame") {
		t.Errorf("the log is %v", logs.All())
	}
}

func TestHTTPSource_failures(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"Status500":    func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"Status204":    func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"Unauthorized": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) },
		"Redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		},
		// The body of a failure is no answer, although it looks like one: nothing in it exists or does not exist.
		"Status500WithAnswer": answerWith(http.StatusInternalServerError),
		"Status404WithAnswer": answerWith(http.StatusNotFound),
		"Status202WithAnswer": answerWith(http.StatusAccepted),
		"Status302WithAnswer": answerWith(http.StatusFound),
		"NotJSON":             func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") },
		"List":                func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "[]") },
		"Half": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "99")
			fmt.Fprint(w, `{"entities":`)
		},
		"Hangs": func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-time.After(5 * time.Second):
			}
		},
		"EndlessHeader": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 1<<20)) },
		"TooLarge": func(w http.ResponseWriter, _ *http.Request) {
			for range 33 {
				fmt.Fprint(w, strings.Repeat(" ", 1<<20))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := mustHTTP(t, handler, directory.HTTPSourceOptions{}, directory.CachedOptions{Timeout: 500 * time.Millisecond})
			if got := lookup(t, d, agentOfHome, me); got[0] != away {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func answerWith(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, `{"entities":[]}`)
	}
}

// malformedRecords are documents that cannot be read to their end. Each has members or an organization that a client
// could get events by.
func malformedRecords() map[string]string {
	return map[string]string{
		"MembersNoList":        fmt.Sprintf(`{"id":%q,"kind":"Queue","organization":%q,"members":7}`, queue, home),
		"MemberNoText":         fmt.Sprintf(`{"id":%q,"kind":"Queue","organization":%q,"members":[%q,7]}`, queue, home, me),
		"OrganizationNoText":   fmt.Sprintf(`{"id":%q,"kind":"Queue","organization":[%q],"members":[%q]}`, queue, home, me),
		"KindTwiceThenNoText":  fmt.Sprintf(`{"id":%q,"kind":"Queue","organization":%q,"kind":{}}`, queue, home),
		"MembersOfAUser":       fmt.Sprintf(`{"id":%q,"kind":"User","organization":%q,"members":[%q]}`, queue, home, me),
		"MemberNoGUID":         fmt.Sprintf(`{"id":%q,"kind":"Queue","organization":%q,"members":["me"]}`, queue, home),
		"TooManyMembers":       tooManyMembers(20_001),
		"OrganizationNoGUID":   fmt.Sprintf(`{"id":%q,"kind":"Queue","organization":"home","members":[%q]}`, queue, me),
		"OrganizationMissing":  fmt.Sprintf(`{"id":%q,"kind":"Queue","members":[%q]}`, queue, me),
		"KindNotInTheGlossary": fmt.Sprintf(`{"id":%q,"kind":"Team","organization":%q,"members":[%q]}`, queue, home, me),
	}
}

func tooManyMembers(n int) string {
	members := strings.Repeat(fmt.Sprintf("%q,", me), n)
	return fmt.Sprintf(`{"id":%q,"kind":"Queue","organization":%q,"members":[%s]}`, queue, home, members[:len(members)-1])
}

// TestSources_malformedRecordDoesNotExist checks that no part of a malformed record counts, and that its neighbours do,
// in any source of documents.
func TestSources_malformedRecordDoesNotExist(t *testing.T) {
	neighbour := fmt.Sprintf(`{"id":%q,"kind":"CallList","organization":%q,"members":[%q]}`, callList, home, me)
	want := []directory.Entity{
		{State: directory.StateKnown, Kind: events.KindCallList, Organization: home, Member: true}, {}, {},
	}
	documents := malformedRecords()
	documents["IDNoGUID"] = fmt.Sprintf(`{"id":"sales","kind":"Queue","organization":%q}`, home)
	for name, text := range documents {
		t.Run(name, func(t *testing.T) {
			api := mustHTTP(t, func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprintf(w, `{"entities":[%s,%s]}`, text, neighbour)
			}, directory.HTTPSourceOptions{}, directory.CachedOptions{})
			if diff := cmp.Diff(want, lookup(t, api, agentOfHome, callList, queue, events.ID{})); diff != "" {
				t.Error("over HTTP:", diff)
			}
			if name == "IDNoGUID" {
				return // in Redis the key has the id
			}
			keyed := mustCached(t, directory.CachedOptions{
				Source: directory.NewDocumentSource(store{callList: neighbour, queue: text}, nil, nil),
			})
			if diff := cmp.Diff(want, lookup(t, keyed, agentOfHome, callList, queue, events.ID{})); diff != "" {
				t.Error("in Redis:", diff)
			}
		})
	}
}

// TestHTTPSource_thousandItems looks up a thousand entities that are not in the cache.
func TestHTTPSource_thousandItems(t *testing.T) {
	var requested atomic.Int32
	d := mustHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		requested.Add(1)
		var lookup struct{ IDs []string }
		if err := json.NewDecoder(r.Body).Decode(&lookup); err != nil {
			t.Error(err)
		}
		var answer struct {
			Entities []map[string]string `json:"entities"`
		}
		for _, id := range lookup.IDs {
			answer.Entities = append(answer.Entities, map[string]string{"id": id, "kind": "User", "organization": home.String()})
		}
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			t.Error(err)
		}
	}, directory.HTTPSourceOptions{}, directory.CachedOptions{})
	best := time.Hour
	const rounds = 3
	for range rounds {
		ids := make([]events.ID, 1000)
		for i := range ids {
			ids[i] = events.NewID()
		}
		began := time.Now()
		for i, entity := range lookup(t, d, agentOfHome, ids...) {
			if entity.State != directory.StateKnown {
				t.Fatalf("entity %d: %+v", i, entity)
			}
		}
		best = min(best, time.Since(began))
	}
	t.Logf("a thousand items in %v", best)
	if requested.Load() != rounds {
		t.Errorf("%d requests for %d batches", requested.Load(), rounds)
	}
}

func TestNewHTTPSource_refusesMistakes(t *testing.T) {
	for _, u := range []string{"", "ftp://a.test", "a.test/directory", "http://"} {
		if _, err := directory.NewHTTPSource(directory.HTTPSourceOptions{URL: u}); err == nil {
			t.Errorf("%q is accepted", u)
		}
	}
}

// An API that closed a connection while a lookup was on its way made the lookup fail.
func TestHTTPSource_looksUpAgainAfterTheEndOfAnIdleConnection(t *testing.T) {
	var used sync.Map
	var connections atomic.Int32
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, again := used.LoadOrStore(r.RemoteAddr, true); again {
			panic(http.ErrAbortHandler) // it closes the connection when the second request comes
		}
		connections.Add(1)
		fmt.Fprint(w, `{"entities": []}`)
	}))
	t.Cleanup(api.Close)
	s, err := directory.NewHTTPSource(directory.HTTPSourceOptions{URL: api.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	for range 3 {
		if err := s.Records(t.Context(), []events.ID{queue}, make([]*directory.Record, 1)); err != nil {
			t.Error(err)
		}
	}
	if n := connections.Load(); n != 3 {
		t.Errorf("%d connections, want a new one for each lookup", n)
	}
}
