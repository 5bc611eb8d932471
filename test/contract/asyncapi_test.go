package contract_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestAsyncAPI_ParsesWithoutError has the parser of the AsyncAPI initiative read the document.
func TestAsyncAPI_ParsesWithoutError(t *testing.T) {
	lines := node(t, nil, "node/asyncapi.mjs", asyncAPIFile)
	type operation struct {
		ID       string
		Action   string
		Messages int
		Replies  int
	}
	var got struct {
		Diagnostics []struct {
			Severity            int
			Code, Message, Path string
		}
		Operations []operation
		Security   []string
	}
	if err := json.Unmarshal(lines[0], &got); err != nil {
		t.Fatal(err)
	}
	const warning = 1 // 0 is an error, 2 information such as a newer version of AsyncAPI
	for _, d := range got.Diagnostics {
		if d.Severity <= warning {
			t.Errorf("%s: %s (%s)", d.Path, d.Message, d.Code)
		}
	}
	want := []operation{
		{"subscribe", "receive", 1, 1},
		{"unsubscribe", "receive", 1, 1},
		{"unsubscribeAll", "receive", 1, 1},
		{"availableSubscriptions", "receive", 1, 1},
		{"activeSubscriptions", "receive", 1, 1},
		{"messageReceived", "send", 31, 0},
		{"publish", "receive", 31, 0},
	}
	if diff := cmp.Diff(want, got.Operations); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"bearer", "accessToken", "redis"}, got.Security); diff != "" {
		t.Error(diff)
	}
}
