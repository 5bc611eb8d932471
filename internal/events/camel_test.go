package events_test

import (
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/events"
)

// TestCamelCase has the cases in which JsonNamingPolicy.CamelCase differs from simpler rules.
func TestCamelCase_equalsDotNet(t *testing.T) {
	tests := map[string]string{
		"":                  "",
		"A":                 "a",
		"ID":                "id",
		"Id":                "id",
		"IPAddress":         "ipAddress",
		"MessageTTLSeconds": "messageTTLSeconds",
		"CallBackId":        "callBackId",
		"NbrOfProviders":    "nbrOfProviders",
		"TTL":               "ttl",
		"TTLs":              "ttLs",
		"alreadyCamel":      "alreadyCamel",
		"already":           "already",
		"IOStream2":         "ioStream2",
		"AB1":               "aB1",
		"ABC1":              "abC1",
		"SHOUTING_CASE":     "shoutinG_CASE",
		"X Y":               "x Y",
		"XY Z":              "xy Z",
		"ABC def":           "abc def",
		"_Private":          "_Private",
		"1Two":              "1Two",
		" Blank":            " Blank",
		"ΆλφαΒήτα":          "άλφαΒήτα",
		"ΆΒγ":               "άΒγ",
		"ÄÖÜ":               "äöü",
		"AÖü":               "aÖü",
		"ABÖ":               "abö",
		"ABÖü":              "abÖü",
		"ABC\u00e4":         "abCä",
		"ÖB":                "öb",
		"İstanbul":          "İstanbul",
		"𐐀Deseret":          "𐐀Deseret",
		"A𐐀":                "a𐐀",
		"AB𐐀":               "aB𐐀",
		"Ⱥb":                "ⱥb",
		"ǅungla":            "ǅungla",
	}
	c := events.Builtin()
	for name, want := range tests {
		if got := events.CamelCase(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
		ev := events.Event{Data: []byte(`{"` + name + `":{"` + name + `":1}}`)}
		text, err := c.AppendJSON(nil, &ev)
		if err != nil || string(text) != `{"`+want+`":{"`+want+`":1}}` {
			t.Errorf("%q: got the JSON %q, %v", name, text, err)
		}
		packed, err := c.AppendMessagePack(nil, &ev, events.CamelKeys)
		if err != nil || strings.Count(string(packed), want) < 2 || strings.Contains(string(packed), name) != (name == want) {
			t.Errorf("%q: got the MessagePack %q, %v", name, packed, err)
		}
	}
}
