package transport_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
)

// denyAll is a Rechecker that denies everything.
type denyAll struct{}

func (denyAll) Recheck(_ context.Context, _ *authz.Claims, topics []events.Topic) []bool {
	return make([]bool, len(topics))
}

// openWith opens a connection with features.
func (s *server) openWith(features, protocol string) *wire {
	s.t.Helper()
	w := s.connect()
	if response, body := w.upgrade("/rte?Features="+features, "alice"); response.StatusCode != 101 {
		s.t.Fatalf("upgrade: %s %q", response.Status, body)
	}
	w.text(`{"protocol":"` + protocol + `","version":1}` + separator)
	if _, data, err := w.next(); err != nil || string(data) != "{}"+separator {
		s.t.Fatalf("handshake: %q, %v", data, err)
	}
	return w
}

const noticeEntity = "aa9730c4-ce86-e611-80c9-00505689257e"

func takeBack(o *setup) { o.hub.Authorization.Rechecker = denyAll{} }

func TestNotices_JSON(t *testing.T) {
	s := startServer(t, takeBack)
	stock, notified := s.open("json"), s.openWith("snapshot,notices", "json")
	item := []subscription{{noticeEntity, "UserStatus"}, {"x", "y"}}
	const published = `{"subscribed":true,"message":null,"entityId":"` + noticeEntity + `","eventName":"userstatus"}`
	const refused = `{"subscribed":false,"message":"Invalid entity id","entityId":"x","eventName":"y"}`
	if result, _ := stock.call("1", "Subscribe", item); result != "["+published+","+refused+"]" {
		t.Errorf("a stock client got %s", result)
	}
	want := "[" + published[:len(published)-1] + `,"code":"ok"},` + refused[:len(refused)-1] + `,"code":"invalid_entity"}]`
	if result, _ := notified.call("1", "Subscribe", item); result != want {
		t.Errorf("a client with notices got %s", result)
	}
	active, _ := notified.call("2", "ActiveSubscriptions")
	s.hub.Recheck(authz.Change{All: true})
	notified.expectText(
		`{"type":1,"target":"SubscriptionsEnded","arguments":[{"code":"unauthorized","total":1,"subscriptions":` + active +
			`}]}`,
	)
	s.eventually(
		"the stock client's subscription has ended", func() bool { return s.count("rte_hub_subscriptions_active") == 0 },
	)
	stock.expectNothing()
}

func TestNotices_MessagePack(t *testing.T) {
	s := startServer(t, takeBack)
	notified := s.openWith("notices", "messagepack")
	notified.binary(packed(t, 1, map[string]any{}, "1", "Subscribe", []any{[]any{
		map[string]any{
			"EntityId": noticeEntity, "EventName": "UserStatus",
		}, map[string]any{"EntityId": "x", "EventName": "y"},
	}}, []any{}))
	results := []any{
		map[string]any{"Subscribed": true, "Message": nil, "EntityId": noticeEntity, "EventName": "userstatus", "Code": "ok"},
		map[string]any{
			"Subscribed": false, "Message": "Invalid entity id", "EntityId": "x", "EventName": "y", "Code": "invalid_entity",
		},
	}
	if diff := cmp.Diff([]any{int8(3), map[string]any{}, "1", int8(3), results}, notified.unpacked()); diff != "" {
		t.Errorf("completion: %s", diff)
	}
	s.hub.Recheck(authz.Change{All: true})
	notice := notified.unpacked()
	if len(notice) != 6 || notice[3] != "SubscriptionsEnded" {
		t.Fatalf("got %v", notice)
	}
	argument := notice[4].([]any)[0].(map[string]any)
	list := argument["Subscriptions"].([]any)
	if argument["Code"] != "unauthorized" || argument["Total"] != int8(1) || len(list) != 1 ||
		list[0].(map[string]any)["EntityId"] != noticeEntity {
		t.Errorf("notice is %v", argument)
	}
}

// packed returns a hub message with its length prefix.
func packed(t *testing.T, fields ...any) []byte {
	t.Helper()
	body, err := msgpack.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return append(binary.AppendUvarint(nil, uint64(len(body))), body...)
}

// unpacked reads a hub message.
func (w *wire) unpacked() (message []any) {
	w.t.Helper()
	_, data, err := w.next()
	if err != nil {
		w.t.Fatal(err)
	}
	_, prefix := binary.Uvarint(data)
	if err := msgpack.NewDecoder(bytes.NewReader(data[prefix:])).Decode(&message); err != nil {
		w.t.Fatalf("%x: %v", data, err)
	}
	return message
}
