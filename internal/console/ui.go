package console

import (
	"embed"
	"io/fs"
	"net/http"
	"strings"
)

// web has the console: "make console" makes it of web/console.
//
//go:embed web
var web embed.FS

// uiPath is the path of the console.
const uiPath = "/console/"

// uiPolicy allows the console to load its own files and to send requests to its own origin, and nothing else: no code
// and no style inside a page, and no code that comes as a text.
const uiPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// handleUI adds the console to mux. It needs no token: its files are the same everywhere, and its requests have one.
// One more file reports whether the port needs a token. It saves the console a refused request.
func handleUI(mux *http.ServeMux, needsToken func() bool) {
	files, err := fs.Sub(web, "web")
	if err != nil {
		panic(err) // the folder is embedded
	}
	serve := http.StripPrefix(uiPath, http.FileServerFS(files))
	mux.HandleFunc("GET "+uiPath+"access.json", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]bool{"token": needsToken()})
	})
	mux.HandleFunc("GET "+uiPath, func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", uiPolicy)
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cache-Control", "no-store") // another version of the server has another console
		serve.ServeHTTP(w, r)
	})
}

// leadToUI sends browsers from the root of the port to the console. Other clients get the list of paths.
func leadToUI(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" && strings.Contains(r.Header.Get("Accept"), "text/html") {
			http.Redirect(w, r, uiPath, http.StatusSeeOther)
			return
		}
		next.ServeHTTP(w, r)
	})
}
