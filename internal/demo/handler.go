package demo

import (
	"embed"
	"encoding/json"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/simulator"
)

// web has the wallboard: the page, its style, its program, and Microsoft's SignalR client.
//
//go:embed web
var web embed.FS

// tokenTTL is the lifetime of the tokens of the development server.
const tokenTTL = time.Hour

// HandlerOptions are the options of a Handler. All fields but Origins are required.
type HandlerOptions struct {
	// Organization has the users of the tokens.
	Organization *simulator.Organization
	// Sign signs the token of a user.
	Sign func(claims authz.Claims, ttl time.Duration) (string, error)
	// HubPath is the path of the hub on the same server.
	HubPath string
	// Origins are the origins of pages that may read the answers, in addition to the server's own origin.
	Origins []string
	// State returns the state of the call centre.
	State func() *simulator.State
	// Logger logs failures to sign a token.
	Logger *zap.Logger
}

// Handler serves all HTTP requests to a development server except requests to the hub: tokens, the list of entities,
// the state of the call centre and the wallboard. It gives tokens to every client without authentication, so it must
// never be part of a production server.
type Handler struct {
	options HandlerOptions
	mux     *http.ServeMux
}

var _ http.Handler = (*Handler)(nil)

// NewHandler returns a Handler.
func NewHandler(o HandlerOptions) *Handler {
	h := &Handler{options: o, mux: http.NewServeMux()}
	pages, err := fs.Sub(web, "web")
	if err != nil {
		panic(err) // the folder is embedded
	}
	// The published REST API has a slash at the end, which people forget.
	h.mux.HandleFunc("GET /token/{user}/rte/{$}", h.token)
	h.mux.HandleFunc("GET /token/{user}/rte", h.token)
	h.mux.HandleFunc("GET /demo/entities", h.entities)
	h.mux.HandleFunc("GET /demo/state", h.state)
	h.mux.Handle("GET /", http.FileServerFS(pages))
	return h
}

// contentPolicy allows the page to load files of this server and to connect to its own origin, and nothing else.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Security-Policy", contentPolicy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store") // a new version of the server may have another page
	header.Add("Vary", "Origin")
	if origin := r.Header.Get("Origin"); slices.Contains(h.options.Origins, origin) {
		header.Set("Access-Control-Allow-Origin", origin)
		header.Set("Access-Control-Allow-Credentials", "true")
		header.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, X-Requested-With")
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusNoContent)
			return
		}
	}
	h.mux.ServeHTTP(w, r)
}

// token answers like the published REST API. "me" is a supervisor, who may see all entities.
func (h *Handler) token(w http.ResponseWriter, r *http.Request) {
	user := h.user(r.PathValue("user"))
	if user == nil {
		http.Error(w, "no such user in the demo organization", http.StatusNotFound)
		return
	}
	token, err := h.options.Sign(authz.Claims{
		User: user.ID, Organization: h.options.Organization.ID, Role: user.Role,
	}, tokenTTL)
	if err != nil {
		h.options.Logger.Error("demo token not signed", zap.Error(err))
		http.Error(w, "the token could not be signed", http.StatusInternalServerError)
		return
	}
	endpoint := h.endpoint(r)
	_, address, _ := strings.Cut(endpoint, "://")
	// The published page has both spellings. Clients that read WSSEndpoint put https:// before it. WssEndpoint comes last:
	// it counts where the reader does not distinguish upper and lower case.
	writeJSON(w, struct{ WSSEndpoint, WssEndpoint, Token string }{address, endpoint, token})
}

// user returns the user that a path names, or nil.
func (h *Handler) user(name string) *simulator.User {
	o := h.options.Organization
	if strings.EqualFold(name, "me") {
		return &o.Users[slices.IndexFunc(o.Users, func(u simulator.User) bool { return u.Role == authz.RoleSupervisor })]
	}
	id, ok := events.ParseID(name)
	if !ok {
		return nil
	}
	return o.User(id)
}

// endpoint returns the URL of the hub, with the host name that the client used. It honours a proxy that ends TLS.
func (h *Handler) endpoint(r *http.Request) string {
	scheme := "ws"
	if r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https") {
		scheme = "wss"
	}
	return scheme + "://" + r.Host + h.options.HubPath
}

// entities answers with all entities.
func (h *Handler) entities(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, h.options.Organization.Entities())
}

// state answers with the state of the call centre, as the REST API of a real system does.
func (h *Handler) state(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, h.options.State())
}

func writeJSON(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body) // the client may have gone
}
