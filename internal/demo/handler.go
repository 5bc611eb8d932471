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
)

// web is the wallboard: the page, its style, its program, and the SignalR client of Microsoft.
//
//go:embed web
var web embed.FS

// tokenTTL is how long the tokens of the development server are good.
const tokenTTL = time.Hour

// HandlerOptions are what a Handler needs.
type HandlerOptions struct {
	// Organization is whose users get tokens.
	Organization *Organization
	// Sign signs the token of a user; required.
	Sign func(claims authz.Claims, ttl time.Duration) (string, error)
	// HubPath is the path of the hub on the same server.
	HubPath string
	// Origins are those whose pages may read what is answered here, besides the server's own.
	Origins []string
	// Logger is told of tokens that could not be signed.
	Logger *zap.Logger
}

// Handler is what a development server answers besides the hub: tokens for whoever asks, the list of entities and the
// wallboard. It asks nobody who they are, so it must never be part of a production server.
type Handler struct {
	options HandlerOptions
	mux     *http.ServeMux
}

var _ http.Handler = (*Handler)(nil)

// NewHandler makes a Handler.
func NewHandler(o HandlerOptions) *Handler {
	h := &Handler{options: o, mux: http.NewServeMux()}
	pages, err := fs.Sub(web, "web")
	if err != nil {
		panic(err) // the directory is embedded
	}
	// The published REST API has a slash at the end; people forget it.
	h.mux.HandleFunc("GET /token/{user}/rte/{$}", h.token)
	h.mux.HandleFunc("GET /token/{user}/rte", h.token)
	h.mux.HandleFunc("GET /demo/entities", h.entities)
	h.mux.Handle("GET /", http.FileServerFS(pages))
	return h
}

// contentPolicy lets the page load what this server has and connect to where it says, and nothing else.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Security-Policy", contentPolicy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store") // the next version of the page is one start away
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

// token answers as the published REST API does. "me" is a supervisor, who may see everything.
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
	writeJSON(w, struct{ WssEndpoint, Token string }{h.endpoint(r), token})
}

// user is who is meant by a path; nil: nobody.
func (h *Handler) user(name string) *User {
	o := h.options.Organization
	if strings.EqualFold(name, "me") {
		return &o.Users[slices.IndexFunc(o.Users, func(u User) bool { return u.Role == authz.RoleSupervisor })]
	}
	id, ok := events.ParseID(name)
	if !ok {
		return nil
	}
	return o.User(id)
}

// endpoint is the URL of the hub under the name by which the client reached this server, also through a proxy that ends
// TLS.
func (h *Handler) endpoint(r *http.Request) string {
	scheme := "ws"
	if r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https") {
		scheme = "wss"
	}
	return scheme + "://" + r.Host + h.options.HubPath
}

// entities lists what can be listened to.
func (h *Handler) entities(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, h.options.Organization.Entities())
}

func writeJSON(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body) // a client that has gone needs no answer
}
