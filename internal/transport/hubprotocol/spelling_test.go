package hubprotocol

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	library "github.com/vmihailenco/msgpack/v5"

	"github.com/rte-server/rte-server/internal/events"
)

// Ids that were published in upper case come out in two spellings within one message: docs/events.md states what
// clients can compare. An EventType in any case comes out in the spelling of the catalog.
func TestEncoders_spellIDsAndEventType(t *testing.T) {
	const id = "aa9730c4-ce86-e611-80c9-00505689257e"
	upper := strings.ToUpper(id)
	published := `{"RootEntityType":"Organization","RootEntityId":"` + upper + `","OrganizationId":"` + upper + `",` +
		`"EventType":"userstatus","EntityType":"User","EntityId":"` + upper + `","UserId":"` + upper + `"}`
	type subscription struct{ RootEntityID, OrganizationID, EntityID, EventType string }
	type data struct{ OrganizationID, EntityID, UserID, EventType string }
	wantSubscription := subscription{id, id, id, "UserStatus"}
	wantData := data{upper, upper, upper, "UserStatus"}

	t.Run("JSON", func(t *testing.T) {
		frame, err := NewJSONEncoder(events.Builtin()).Encode(decodeEvent(t, published))
		if err != nil {
			t.Fatal(err)
		}
		var message struct {
			Arguments []struct {
				Subscription subscription
				Data         data
			}
		}
		text := strings.TrimSuffix(string(frame.Bytes[4:]), "\x1e")
		if err := json.Unmarshal([]byte(text), &message); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(wantSubscription, message.Arguments[0].Subscription); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(wantData, message.Arguments[0].Data); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("MessagePack", func(t *testing.T) {
		frame, err := NewMessagePackEncoder(events.Builtin(), events.PascalKeys).Encode(decodeEvent(t, published))
		if err != nil {
			t.Fatal(err)
		}
		var message []any
		if err := library.Unmarshal(bodyOf(frame.Bytes[4:]), &message); err != nil {
			t.Fatal(err)
		}
		argument := message[4].([]any)[0].(map[string]any)
		text := func(part, name string) string {
			text, _ := argument[part].(map[string]any)[name].(string)
			return text
		}
		gotSubscription := subscription{
			text("Subscription", "RootEntityId"), text("Subscription", "OrganizationId"), text("Subscription", "EntityId"),
			text("Subscription", "EventType"),
		}
		if diff := cmp.Diff(wantSubscription, gotSubscription); diff != "" {
			t.Error(diff)
		}
		gotData := data{
			text("Data", "OrganizationId"), text("Data", "EntityId"), text("Data", "UserId"), text("Data", "EventType"),
		}
		if diff := cmp.Diff(wantData, gotData); diff != "" {
			t.Error(diff)
		}
	})
}
