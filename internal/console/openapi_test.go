package console_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

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

// TestOpenAPI_hasThePathsOfTheOperator compares the document with the paths of a server with all operations.
func TestOpenAPI_hasThePathsOfTheOperator(t *testing.T) {
	var document struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal(console.OpenAPI(), &document); err != nil {
		t.Fatal(err)
	}
	s := newOperations(t)
	for path := range document.Paths {
		_, index := fetch(t, s, "GET", "http://localhost/")
		base := strings.TrimSuffix(strings.TrimSuffix(path, "/{id}"), "/dry-run")
		if !strings.Contains(index, base+"\n") {
			t.Errorf("the index of the port does not have %s", base)
		}
	}
	if len(document.Paths) < 13 {
		t.Errorf("%d paths", len(document.Paths))
	}
}
