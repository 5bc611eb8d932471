package contract_test

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/rte-server/rte-server/internal/hub"
)

// TestAsyncAPI_parsesWithoutError reads the document with the parser of the AsyncAPI initiative.
func TestAsyncAPI_parsesWithoutError(t *testing.T) {
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
	const warning = 1 // 0 is an error; 2 is information, such as a newer version of AsyncAPI
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
		{"subscriptionsEnded", "send", 1, 0},
		{"resync", "send", 1, 0},
		{"closing", "send", 1, 0},
		{"limits", "send", 1, 0},
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

// TestAsyncAPI_extensionsEqualTheHub compares the objects for clients with notices with their schemas, property by
// property.
func TestAsyncAPI_extensionsEqualTheHub(t *testing.T) {
	text, err := os.ReadFile(asyncAPIFile)
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Components struct {
			Schemas map[string]struct {
				Properties map[string]any
				Required   []string
			}
		}
	}
	if err := yaml.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]any{
		"SubscriptionsEnded": hub.SubscriptionsEnded{}, "Resync": hub.Resync{}, "Subscription": hub.Subscription{},
		"Closing": hub.Closing{}, "Limits": hub.ClientLimits{},
		"SubscriptionResult": hub.SubscriptionResult{Code: "unauthorized", TraceID: "x"},
	} {
		sent := map[string]any{}
		encoded, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(encoded, &sent); err != nil {
			t.Fatal(err)
		}
		schema := document.Components.Schemas[name]
		if diff := cmp.Diff(slices.Sorted(maps.Keys(schema.Properties)), slices.Sorted(maps.Keys(sent))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		for _, required := range schema.Required {
			if _, ok := sent[required]; !ok {
				t.Errorf("%s: no %s", name, required)
			}
		}
	}
	// Objects for stock clients have the four published properties.
	if encoded, err := json.Marshal(
		hub.SubscriptionResult{},
	); err != nil || string(encoded) != `{"subscribed":false,"message":null,"entityId":"","eventName":""}` {
		t.Errorf("a stock client gets %s, %v", encoded, err)
	}
}
