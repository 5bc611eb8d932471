package demo_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/authz/directory"
	"github.com/rte-server/rte-server/internal/demo"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/simulator"
)

// mustHandler returns a handler whose tokens are the JSON text of their claims.
func mustHandler(t *testing.T) *demo.Handler {
	t.Helper()
	return demo.NewHandler(demo.HandlerOptions{
		Organization: simulator.NewOrganization(), HubPath: "/rte", Origins: []string{"https://desk.example"},
		Logger: zap.NewNop(), State: func() *simulator.State { return &simulator.State{Run: "this one"} },
		Sign: func(claims authz.Claims, ttl time.Duration) (string, error) {
			if ttl <= 0 {
				return "", errors.New("a token that never expires")
			}
			text, err := json.Marshal(map[string]string{"user": claims.User.String(), "role": string(claims.Role)})
			return string(text), err
		},
	})
}

// get sends a GET request to a handler.
func get(h http.Handler, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, target, http.NoBody)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestHandler_signsTokens(t *testing.T) {
	h := mustHandler(t)
	users := simulator.NewOrganization().Users
	supervisor, agent := users[0], users[2]
	for _, test := range []struct {
		name     string
		target   string
		header   []string
		endpoint string
		user     simulator.User
	}{
		{"me", "http://127.0.0.1:8080/token/me/rte/", nil, "ws://127.0.0.1:8080/rte", supervisor},
		{"without the slash", "http://127.0.0.1:8080/token/me/rte", nil, "ws://127.0.0.1:8080/rte", supervisor},
		{"by id", "http://localhost:8080/token/" + agent.ID.String() + "/rte/", nil, "ws://localhost:8080/rte", agent},
		{
			"by id in upper case", "http://localhost/token/" + strings.ToUpper(agent.ID.String()) + "/rte/", nil,
			"ws://localhost/rte", agent,
		},
		{
			"behind a proxy with TLS", "http://rte.example/token/me/rte/",
			[]string{"X-Forwarded-Proto", "https"},
			"wss://rte.example/rte", supervisor,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := get(h, test.target, test.header...)
			var answer map[string]string
			if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != 200 || len(answer) != 3 {
				t.Fatalf("%d %s %v", w.Code, w.Body, err)
			}
			if answer["WssEndpoint"] != test.endpoint {
				t.Errorf("WssEndpoint %q, want %q", answer["WssEndpoint"], test.endpoint)
			}
			if _, address, _ := strings.Cut(test.endpoint, "://"); answer["WSSEndpoint"] != address {
				t.Errorf("WSSEndpoint %q, want %q", answer["WSSEndpoint"], address)
			}
			if token := answer["Token"]; !strings.Contains(token, test.user.ID.String()) ||
				!strings.Contains(token, string(test.user.Role)) {
				t.Errorf("token %s, want one for %s", token, test.user.Name)
			}
		})
	}
	for _, unknown := range []string{"you", "0d000000-0000-4000-8000-000000000199", "me/extra"} {
		if w := get(h, "/token/"+unknown+"/rte/"); w.Code != http.StatusNotFound {
			t.Errorf("a token for %s: %d", unknown, w.Code)
		}
	}
}

func TestHandler_listsEntities(t *testing.T) {
	w := get(mustHandler(t), "/demo/entities")
	var entities []map[string]string
	if err := json.Unmarshal(w.Body.Bytes(), &entities); err != nil {
		t.Fatal(err)
	}
	for _, e := range entities {
		_, isID := events.ParseID(e["entityId"])
		if _, isKind := events.ParseKind(e["entityType"]); !isID || !isKind || e["name"] == "" || len(e) != 3 {
			t.Errorf("entity %v", e)
		}
	}
	if len(entities) != len(simulator.NewOrganization().Entities()) {
		t.Errorf("%d entities", len(entities))
	}
}

func TestHandler_answersTheState(t *testing.T) {
	w := get(mustHandler(t), "/demo/state")
	var state simulator.State
	if err := json.Unmarshal(w.Body.Bytes(), &state); err != nil || w.Code != 200 || state.Run != "this one" {
		t.Fatalf("%d %s %v", w.Code, w.Body, err)
	}
}

// TestHandler_servesThePage checks that the handler serves the page and all files that it names, and that the page
// names no other server.
func TestHandler_servesThePage(t *testing.T) {
	h := mustHandler(t)
	page := get(h, "/")
	if page.Code != 200 || !strings.HasPrefix(page.Header().Get("Content-Type"), "text/html") {
		t.Fatalf("GET /: %d %s", page.Code, page.Header())
	}
	if policy := page.Header().Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") {
		t.Errorf("policy %q", policy)
	}
	named := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(page.Body.String(), -1)
	if len(named) < 3 {
		t.Fatalf("the page names %v", named)
	}
	for _, match := range named {
		if w := get(h, "/"+match[1]); w.Code != 200 {
			t.Errorf("GET /%s: %d", match[1], w.Code)
		}
	}
	elsewhere := regexp.MustCompile(`(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}`)
	err := fs.WalkDir(os.DirFS("web"), ".", func(name string, entry fs.DirEntry, err error) error {
		// Error messages of Microsoft's client name pages. The test of the page in a browser watches its requests.
		if err != nil || entry.IsDir() || name == "app.js" || name == "LICENSES.txt" {
			return err
		}
		text, err := os.ReadFile(path.Join("web", name))
		if found := elsewhere.FindString(strings.ReplaceAll(string(text), "http://www.w3.org/", "")); found != "" {
			t.Errorf("%s names %s", name, found)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestHandler_checksOrigins(t *testing.T) {
	h := mustHandler(t)
	for origin, allowed := range map[string]string{
		"https://desk.example": "https://desk.example", "https://evil.example": "", "null": "",
	} {
		if got := get(h, "/token/me/rte/", "Origin", origin).Header().Get("Access-Control-Allow-Origin"); got != allowed {
			t.Errorf("origin %s: allowed %q, want %q", origin, got, allowed)
		}
	}
}

func TestDirectory_looksUpEntities(t *testing.T) {
	o := simulator.NewOrganization()
	d := demo.NewDirectory(o)
	agent := o.Users[2]
	ids := []events.ID{agent.ID, o.Queues[0].ID, o.Queues[1].ID, o.CallLists[0].ID, events.NewID()}
	got := make([]directory.Entity, len(ids))
	d.Lookup(t.Context(), directory.Caller{User: agent.ID, Organization: o.ID}, ids, got)
	want := []directory.Entity{
		{State: directory.StateKnown, Kind: events.KindUser, Organization: o.ID},
		{State: directory.StateKnown, Kind: events.KindQueue, Organization: o.ID, Member: true},
		{State: directory.StateKnown, Kind: events.KindQueue, Organization: o.ID},
		{State: directory.StateKnown, Kind: events.KindCallList, Organization: o.ID, Member: true},
		{},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
