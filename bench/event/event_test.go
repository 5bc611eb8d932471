package event_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/rte-server/rte-server/bench/event"
)

const messageBytes = 1152

func TestTemplate_makesAllForms(t *testing.T) {
	for _, eventType := range []string{"UserCallInUserConnected", "UserStatus", "QueueStatus"} {
		t.Run(eventType, func(t *testing.T) {
			topic := event.NewTopic(1, 7, eventType)
			now := time.Date(2026, 2, 3, 4, 5, 6, 789_000_000, time.UTC)
			forms := map[event.Form][]byte{}
			for _, form := range []event.Form{event.Published, event.Message, event.Frame} {
				tmpl, err := event.NewTemplate(topic, form, messageBytes)
				if err != nil {
					t.Fatal(err)
				}
				forms[form] = tmpl.Append(nil, 42, 123456789, now)
				mark, _, ok := event.NextMark(forms[form])
				if want := (event.Mark{Topic: 7, Number: 42, At: 123456789}); !ok || mark != want {
					t.Errorf("form %d: mark is %v, want %v", form, mark, want)
				}
			}
			frame := forms[event.Frame]
			if frame[0] != 0x81 || frame[1] != 126 || len(frame) != 4+int(frame[2])<<8+int(frame[3]) {
				t.Errorf("head of the frame is % x for %d bytes", frame[:4], len(frame))
			}
			if got := len(forms[event.Message]); got != messageBytes {
				t.Errorf("message has %d bytes, want %d", got, messageBytes)
			}
			var published struct{ EventType, EntityID, Timestamp, ID string }
			if err := json.Unmarshal(forms[event.Published], &published); err != nil {
				t.Fatal(err)
			}
			if published.EventType != eventType || published.Timestamp != "2026-02-03T04:05:06.7890000Z" ||
				published.ID != "00000007-1111-4111-8111-11110000002a" {
				t.Errorf("published event is %+v", published)
			}
			var received struct {
				Data         map[string]any
				Subscription map[string]any
			}
			if err := json.Unmarshal(forms[event.Message], &received); err != nil {
				t.Fatal(err)
			}
			if received.Data["entityId"] != topic.Entity || received.Subscription["entityId"] != topic.Entity {
				t.Errorf("entities are %v and %v, want %s",
					received.Data["entityId"], received.Subscription["entityId"], topic.Entity)
			}
		})
	}
}

func TestNewTemplate_refusesTooFewBytes(t *testing.T) {
	if _, err := event.NewTemplate(event.NewTopic(0, 0, "UserStatus"), event.Published, 100); err == nil {
		t.Error("an event of 700 bytes fits in 100")
	}
}

func TestNextMark_skipsOtherTildes(t *testing.T) {
	data := []byte("a~b~00000001000000020000000000000003 and ~short")
	mark, rest, ok := event.NextMark(data)
	if want := (event.Mark{Topic: 1, Number: 2, At: 3}); !ok || mark != want {
		t.Fatalf("mark is %v, want %v", mark, want)
	}
	if _, _, ok := event.NextMark(rest); ok {
		t.Error("found a mark in the rest")
	}
}

func FuzzNextMark(f *testing.F) {
	f.Add([]byte("~00000001000000020000000000000003"))
	f.Add([]byte("~~~~"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		for ok := true; ok; {
			_, data, ok = event.NextMark(data)
		}
	})
}
