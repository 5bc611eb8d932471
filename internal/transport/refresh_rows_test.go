package transport_test

import (
	"encoding/binary"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
)

// rowBearers are the bearers of the rows. Every other token is refused.
func rowBearers() verifier {
	now, alice := time.Now(), bearers["alice"]
	of := func(expires time.Time, role authz.Role, id string) *authz.Claims {
		return &authz.Claims{
			User: alice.User, Organization: organization, Role: role, ExpiresAt: expires, IssuedAt: now, TokenID: id,
		}
	}
	elsewhere, bob := of(now.Add(time.Hour), authz.RoleAgent, "elsewhere"), of(now.Add(time.Hour), authz.RoleAgent, "bob")
	elsewhere.Organization, bob.User = mustID("11111111-b484-e611-80c9-00505689257e"), bearers["bob"].User
	return verifier{
		"alice":    of(now.Add(10*time.Minute), authz.RoleSupervisor, "first"),
		"sooner":   of(now.Add(30*time.Minute), authz.RoleSupervisor, "sooner"),
		"later":    of(now.Add(time.Hour), authz.RoleSupervisor, "later"),
		"as agent": of(now.Add(time.Hour), authz.RoleAgent, "agent"),

		"as agent later": of(now.Add(2*time.Hour), authz.RoleAgent, "agent later"),

		"earlier":   of(now.Add(3*time.Second), authz.RoleAgent, "earlier"),
		"revoked":   of(now.Add(time.Hour), authz.RoleAgent, "revoked"),
		"bob":       bob,
		"elsewhere": elsewhere,
	}
}

// rows is a node that owns connections, and the node that gets the refresh requests: the same one or another.
type rows struct {
	owner, via *server
}

// refreshRow is a row of section 1 of what ASP.NET Core 11.0.0 answers, or a deliberate difference.
type refreshRow struct {
	name string
	// request makes the request; connection is the connection token of an open connection of alice.
	request func(r *rows, connection string) (*http.Response, string)
	status  int
	body    string // "hour" and "minutes" are a lifetime
	tokenID string // of the claims in force afterwards; empty: those of alice
}

// post refreshes a connection with a bearer. An empty connection leaves the header out.
func post(target, connection, bearer string, headers ...string) func(*rows, string) (*http.Response, string) {
	return func(r *rows, own string) (*http.Response, string) {
		if connection == "own" {
			connection = own
		}
		if connection != "" {
			headers = append(headers, "X-SignalR-Connection-Token: "+connection)
		}
		return r.via.do(http.MethodPost, strings.ReplaceAll(target, "%own", own), bearer, headers...)
	}
}

// ended refreshes a connection of alice after end has ended it.
func ended(end func(w *wire)) func(*rows, string) (*http.Response, string) {
	return func(r *rows, _ string) (*http.Response, string) {
		w, connection := r.owner.openToken("alice")
		end(w)
		r.owner.eventually("the session has ended", func() bool {
			for session := range r.owner.hub.Sessions().All() {
				if session.ID() == connection[:22] {
					return false
				}
			}
			return true
		})
		return r.via.refresh(connection, "later")
	}
}

const (
	notFound    = `{"error":"connection_not_found"}`
	missing     = `{"error":"missing_connection_token"}`
	userChanged = `{"error":"user_changed"}`
)

func refreshRows() []refreshRow {
	const refresh = "/rte/refresh"
	forge := func(r *rows, own string) (*http.Response, string) {
		last := map[bool]string{true: "A", false: "Q"}[!strings.HasSuffix(own, "A")]
		return r.via.refresh(own[:len(own)-1]+last, "later")
	}
	return []refreshRow{
		{"header, same user", post(refresh, "own", "later"), 200, "hour", "later"},
		{"header, wrong id in the query", post(refresh+"?id=x", "own", "later"), 200, "hour", "later"},
		{"wrong header, right id", post(refresh+"?id=%own", "x", "later"), 404, notFound, ""},
		{"only an id in the query", post(refresh+"?id=%own", "", "later"), 400, missing, ""},
		{"neither", post(refresh, "", "later"), 400, missing, ""},
		{"unknown token", forge, 404, notFound, ""},
		{"no token at all", post(refresh, "x", "later"), 404, notFound, ""},
		{"connection id", func(r *rows, own string) (*http.Response, string) {
			return r.via.refresh(own[:22], "later")
		}, 404, notFound, ""},
		{"socket gone", ended(func(w *wire) { w.Close() }), 404, notFound, ""},
		{"closed by the client", ended(func(w *wire) {
			w.text(`{"type":7}` + separator)
			w.expectText(`{"type":7}`)
			w.expect(opClose, string(binary.BigEndian.AppendUint16(nil, 1000)))
			w.write(frame(fin|opClose, binary.BigEndian.AppendUint16(nil, 1000)))
		}), 404, notFound, ""},
		{"no bearer", post(refresh, "own", ""), 401, "", ""},
		{"bad bearer", post(refresh, "own", "mallory"), 401, "", ""},
		{"revoked bearer", post(refresh, "own", "revoked"), 401, "", ""},
		{"bearer in the query", post(refresh+"?access_token=later", "own", ""), 200, "hour", "later"},
		{"another user", post(refresh, "own", "bob"), 403, userChanged, ""},
		{"same user, other claims", post(refresh, "own", "as agent"), 200, "hour", "agent"},
		{"another organization: deliberately refused", post(refresh, "own", "elsewhere"), 403, userChanged, ""},
		{"ends earlier: deliberately the lifetime in force", post(refresh, "own", "earlier"), 200, "minutes", ""},
		{"GET", func(r *rows, own string) (*http.Response, string) {
			return r.via.do(http.MethodGet, refresh, "later", "X-SignalR-Connection-Token: "+own)
		}, 405, "", ""},
		{"body of 100 KB", func(r *rows, own string) (*http.Response, string) {
			return r.via.doBody(refresh, "later", strings.Repeat("x", 100<<10), "X-SignalR-Connection-Token: "+own)
		}, 200, "hour", "later"},
		{"path in capitals", post("/RTE/Refresh", "own", "later"), 200, "hour", "later"},
		{"path with a slash behind", post("/rte/refresh/", "own", "later"), 200, "hour", "later"},
		{"negotiate version 0", func(r *rows, _ string) (*http.Response, string) {
			_, body := r.owner.do(http.MethodPost, "/rte/negotiate", "alice")
			_, rest, _ := strings.Cut(body, `"connectionId":"`)
			connection, _, _ := strings.Cut(rest, `"`)
			return r.via.refresh(connection, "later")
		}, 400, `{"error":"unsupported_negotiate_version"}`, ""},
		{"negotiated, no socket yet", func(r *rows, _ string) (*http.Response, string) {
			return r.via.refresh(r.owner.negotiate("alice").ConnectionToken, "later")
		}, 200, "hour", ""},
		{"negotiated by another user", func(r *rows, _ string) (*http.Response, string) {
			return r.via.refresh(r.owner.negotiate("alice").ConnectionToken, "bob")
		}, 403, userChanged, ""},
	}
}

// doBody is do for a POST with a body.
func (s *server) doBody(target, bearer, body string, headers ...string) (*http.Response, string) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(
		s.t.Context(), http.MethodPost, "http://"+s.addr+target, strings.NewReader(body),
	)
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+bearer)
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Set(name, value)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return response, string(answer)
}

// The released .NET 11 client names its connection in a header. The server looked only at the query, answered 400, and
// the client was closed when its token expired.
func TestRefresh_rowsOfASPNETCore11(t *testing.T) {
	rowSetup := func(s *setup) { s.Verifier, s.Timeouts.Refresh = rowBearers(), 500*time.Millisecond }
	b := &bus{}
	owner, other := b.join(t, rowSetup), b.join(t, rowSetup)
	for via, r := range map[string]*rows{"owner": {owner, owner}, "another node": {owner, other}} {
		for _, row := range refreshRows() {
			t.Run(via+"/"+row.name, func(t *testing.T) { row.check(t, r) })
		}
	}
}

func (row *refreshRow) check(t *testing.T, r *rows) {
	t.Helper()
	_, connection := r.owner.openToken("alice")
	response, body := row.request(r, connection)
	good := map[string]bool{"hour": isHour(body), "minutes": strings.HasPrefix(body, `{"tokenLifetimeSeconds":59`)}
	if matches, lifetime := good[row.body]; response.StatusCode != row.status || lifetime && !matches ||
		!lifetime && body != row.body {
		t.Errorf("%s %s, want %d %s", response.Status, body, row.status, row.body)
	}
	contentType := "application/json"
	switch row.status {
	case http.StatusUnauthorized:
		contentType = ""
		if response.Header.Get("WWW-Authenticate") == "" {
			t.Error("no WWW-Authenticate")
		}
	case http.StatusMethodNotAllowed:
		contentType = "text/plain"
	}
	if got := response.Header.Get("Content-Type"); got != contentType {
		t.Errorf("Content-Type %q, want %q", got, contentType)
	}
	want := row.tokenID
	if want == "" {
		want = "first"
	}
	for session := range r.owner.hub.Sessions().All() {
		if session.ID() == connection[:22] && session.Claims().TokenID != want {
			t.Errorf("the claims of %q are in force, want %q", session.Claims().TokenID, want)
		}
	}
}

// A stock server has no such path and no lifetimes in negotiate.
func TestRefresh_switchedOff(t *testing.T) {
	s := startServer(t, withRefresh, func(s *setup) { s.Refresh.Enabled = false })
	_, id := s.openToken("alice")
	if response, body := s.refresh(id, "alice later"); response.StatusCode != 404 || body != "" {
		t.Errorf("%s %q", response.Status, body)
	}
	if _, body := s.do(http.MethodPost, "/rte/negotiate?negotiateVersion=1", "alice"); strings.Contains(body, "Lifetime") {
		t.Error(body)
	}
}

// Pages send the header of a refresh across origins.
func TestRefresh_preflight(t *testing.T) {
	s := startServer(t, withRefresh, withOrigins)
	const wanted = "authorization,x-requested-with,x-signalr-connection-token,x-signalr-user-agent"
	for requested, allowed := range map[string]string{
		"Access-Control-Request-Headers: " + wanted: wanted,
		"X: y": strings.ReplaceAll(wanted, ",", ", "),
	} {
		response, _ := s.do(http.MethodOptions, "/rte/refresh", "",
			"Origin: "+desk, "Access-Control-Request-Method: POST", requested)
		if got := response.Header.Get("Access-Control-Allow-Headers"); response.StatusCode != 204 || got != allowed {
			t.Errorf("%s %q, want %q", response.Status, got, allowed)
		}
	}
}

// Two refreshes that race on two nodes left the older token in force if it came last: the connection then ended with
// it.
func TestRefresh_laterTokenWinsARace(t *testing.T) {
	rowSetup := func(s *setup) { s.Verifier, s.Timeouts.Refresh = rowBearers(), 500*time.Millisecond }
	b := &bus{}
	owner, other, third := b.join(t, rowSetup), b.join(t, rowSetup), b.join(t, rowSetup)
	for _, pair := range [][2]*server{{other, third}, {third, other}, {owner, other}, {other, owner}} {
		w, connection := owner.openToken("alice")
		var racing sync.WaitGroup
		for i, bearer := range []string{"later", "sooner"} {
			racing.Go(func() {
				if response, body := pair[i].refresh(connection, bearer); response.StatusCode != 200 {
					t.Errorf("%s: %s %s", bearer, response.Status, body)
				}
			})
		}
		racing.Wait()
		for session := range owner.hub.Sessions().All() {
			if session.ID() == connection[:22] && session.Claims().TokenID != "later" {
				t.Errorf("the token %q is in force", session.Claims().TokenID)
			}
		}
		w.Close()
	}
}

// A refresh may come before the handshake. The last refresh counted then, even with an older token, or with a token of
// another user.
func TestRefresh_laterTokenWinsBeforeTheHandshake(t *testing.T) {
	rowSetup := func(s *setup) {
		s.Verifier, s.Timeouts.Refresh = rowBearers(), 500*time.Millisecond
		s.Tokens.Revoked = func(claims *authz.Claims) bool { return claims.TokenID == "revoked" }
	}
	b := &bus{}
	owner, other := b.join(t, rowSetup), b.join(t, rowSetup)
	for _, via := range [][2]*server{{owner, owner}, {owner, other}, {other, owner}} {
		connection := owner.negotiate("alice").ConnectionToken
		w := owner.connect()
		if response, body := w.upgrade("/rte?id="+connection, "alice"); response.StatusCode != 101 {
			t.Fatalf("%s %s", response.Status, body)
		}
		for i, step := range []struct {
			bearer string
			status int
		}{{"later", 200}, {"sooner", 200}, {"earlier", 200}, {"bob", 403}, {"elsewhere", 403}, {"revoked", 401}} {
			response, body := via[min(i, 1)].refresh(connection, step.bearer)
			if response.StatusCode != step.status || step.status == 200 && !isHour(body) {
				t.Errorf("%s: %s %s", step.bearer, response.Status, body)
			}
		}
		w.text(`{"protocol":"json","version":1}` + separator)
		w.expectText("{}")
		w.expectNothing()
		found := false
		for session := range owner.hub.Sessions().All() {
			if session.ID() == connection[:22] {
				found = true
				if id := session.Claims().TokenID; id != "later" {
					t.Errorf("the token %q is in force", id)
				}
			}
		}
		if !found {
			t.Error("no session")
		}
		w.Close()
	}
}
