package console_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rte-server/rte-server/internal/console"
)

const openAPIFile = "../../api/operator.openapi.json"

// TestOpenAPI_isCheckedIn compares the document with the code.
func TestOpenAPI_isCheckedIn(t *testing.T) {
	text, err := os.ReadFile(openAPIFile)
	if err != nil || string(text) != string(console.OpenAPI()) {
		t.Errorf("api/operator.openapi.json is old (%v): run make generate", err)
	}
}

// TestOpenAPI_hasEachPath compares the document with the paths of a server with all options.
func TestOpenAPI_hasEachPath(t *testing.T) {
	var document struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal(console.OpenAPI(), &document); err != nil {
		t.Fatal(err)
	}
	s := mustNew(t, console.Options{
		Readiness: console.NewReadiness(), Gatherer: prometheus.NewRegistry(), Organizations: prometheus.NewRegistry(),
		Quarantine: func() any { return nil }, Publish: http.NotFoundHandler(), Operations: everyOperation(),
	})
	var documented []string
	for path, methods := range document.Paths {
		for method := range methods {
			documented = append(documented, strings.ToUpper(method)+" "+path)
		}
	}
	slices.Sort(documented)
	served := slices.DeleteFunc(s.Patterns(), func(pattern string) bool { return pattern == "/" }) // passes on
	for i := range served {
		served[i] = strings.Replace(served[i], "{$}", "", 1)
	}
	slices.Sort(served)
	if diff := cmp.Diff(served, documented); diff != "" {
		t.Errorf("the document differs from the paths that are served:\n%s", diff)
	}
	_, index := fetch(t, s, "GET", "http://localhost/")
	for path := range document.Paths {
		base := "/" + strings.Join(strings.Split(path, "/")[1:min(3, strings.Count(path, "/")+1)], "/")
		if path != "/" && !strings.Contains(index, base) {
			t.Errorf("the index of the port does not have %s", path)
		}
	}
}

// everyOperation returns a function for each operation.
func everyOperation() (all console.Operations) {
	for _, field := range reflect.ValueOf(&all).Elem().Fields() {
		switch f := field.Addr().Interface().(type) {
		case *console.Operation:
			*f = echo
		case *http.Handler:
			*f = http.NotFoundHandler()
		case *func(context.Context, []byte) (any, error):
			*f = func(context.Context, []byte) (any, error) { return "", nil }
		case *func(context.Context) (any, error):
			*f = func(context.Context) (any, error) { return "", nil }
		case *func(context.Context, url.Values, []byte) (any, error):
			*f = func(context.Context, url.Values, []byte) (any, error) { return "", nil }
		}
	}
	return all
}
