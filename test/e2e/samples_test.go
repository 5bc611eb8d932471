package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// sampleID is the id in all sample payloads: of the user, queue, call list and organization.
var sampleID = events.ID{}.String()

// samples reads the sample payloads of the published API, by event name.
func samples(t *testing.T) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob("../../testdata/events/*.json")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]byte{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(path), ".json")
		if unicode.IsUpper(rune(name[0])) {
			found[name] = data
		}
	}
	if len(found) != 31 {
		t.Fatalf("found %d samples, want 31", len(found))
	}
	return found
}

// mustSampleToken signs a token for the user and organization of the samples, who may subscribe to the whole
// organization.
func mustSampleToken(t *testing.T) string {
	t.Helper()
	return rtetest.MustSign(t, []byte(rtetest.Secret), `{"alg":"HS256","typ":"JWT"}`, fmt.Sprintf(
		`{"sub":%q,"org":%q,"role":"service","iss":%q,"aud":%q,"exp":%d}`,
		sampleID, sampleID, rtetest.Issuer, rtetest.Audience, time.Now().Add(time.Hour).Unix()))
}

// lane returns the lane of an organization.
func lane(organization string) string { return "rte:org:" + organization }

// publish sends a message with PUBLISH, like a publisher without further knowledge. It returns the number of nodes that
// received it.
func publish(t *testing.T, r *rtetest.Redis, channel string, data []byte) int64 {
	t.Helper()
	c := r.Client()
	defer c.Close()
	nodes, err := c.Publish(t.Context(), channel, data).Result()
	if err != nil {
		t.Fatalf("PUBLISH %s: %v", channel, err)
	}
	return nodes
}

// camel renames the properties of a published payload for JSON clients. It lowers only the first letter, which is
// enough for the samples: no property begins with two capitals.
func camel(t *testing.T, data []byte) map[string]any {
	t.Helper()
	var published map[string]any
	if err := json.Unmarshal(data, &published); err != nil {
		t.Fatal(err)
	}
	renamed := map[string]any{}
	for name, value := range published {
		if _, nested := value.(map[string]any); nested {
			t.Fatalf("%s is an object: the rule of this test is too simple for it", name)
		}
		if unicode.IsUpper(rune(name[1])) {
			t.Fatalf("%s: the rule of this test is too simple for it", name)
		}
		renamed[strings.ToLower(name[:1])+name[1:]] = value
	}
	return renamed
}

// TestSamples publishes each sample payload to Redis and compares the event that Microsoft's client delivers.
func TestSamples(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	// The samples are from 2020, so those with a MessageTTLSeconds have expired.
	srv := startServer(t, rtetest.Settings{"redis.addresses": redis.Addr, "events.expire": "false"})
	c := connect(t, clientOptions{URL: srv.HubURL, Token: mustSampleToken(t)})
	samples := samples(t)
	names := slices.Sorted(maps.Keys(samples))

	var available []string
	c.mustInvoke(&available, "AvailableSubscriptions")
	slices.Sort(available)
	if diff := cmp.Diff(names, available); diff != "" {
		t.Errorf("AvailableSubscriptions (-want +got):\n%s", diff)
	}

	var results []subscriptionResult
	c.mustInvoke(&results, "Subscribe", subscribeTo(sampleID, names...))
	for i, result := range results {
		want := subscriptionResult{Subscribed: true, EntityID: sampleID, EventName: strings.ToLower(names[i])}
		if diff := cmp.Diff(want, result); diff != "" {
			t.Fatalf("Subscribe to %s (-want +got):\n%s", names[i], diff)
		}
	}

	ids := map[any]string{} // event names by subscription id
	for _, name := range names {
		if nodes := publish(t, redis, lane(sampleID), samples[name]); nodes != 1 {
			t.Fatalf("%d nodes received it, want 1", nodes)
		}
		got := c.next()
		data := camel(t, samples[name])
		subscription := map[string]any{
			"id":              got.Subscription["id"], // any GUID
			"allRootEntities": false,
			"rootEntityId":    sampleID,
			"rootEntityType":  "Organization",
			"organizationId":  sampleID,
			"eventType":       name,
			"entityType":      data["entityType"],
			"entityId":        sampleID,
			"allEntities":     false,
		}
		if diff := cmp.Diff(subscription, got.Subscription); diff != "" {
			t.Errorf("%s: subscription (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(data, got.Data); diff != "" {
			t.Errorf("%s: data (-want +got):\n%s", name, diff)
		}
		id, _ := got.Subscription["id"].(string)
		if _, ok := events.ParseID(id); !ok || ids[id] != "" {
			t.Errorf("%s: subscription id %q is not a GUID of its own", name, id)
		}
		ids[id] = name
	}

	var active []map[string]any
	c.mustInvoke(&active, "ActiveSubscriptions")
	if len(active) != len(names) {
		t.Errorf("ActiveSubscriptions lists %d, want %d", len(active), len(names))
	}
	for _, subscription := range active {
		if ids[subscription["id"]] != subscription["eventType"] || len(subscription) != 9 {
			t.Errorf("ActiveSubscriptions lists %v, which is not what the events came with", subscription)
		}
	}
}
