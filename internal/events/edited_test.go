package events_test

import (
	"encoding/json"
	"errors"
	"iter"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/events"
)

// pieces are what an edit writes into a document: what JSON has a meaning for, and a few bytes that it forbids.
var pieces = []string{
	`{`, `}`, `[`, `]`, `:`, `,`, `"`, `\`, ` `, "\n", `-`, `.`, `/`, `0`, `9`, `a`, `A`, `Z`, `[]`, `{}`, `null`, `""`,
	`"a":1`, "\x00", "\x1f", "\x7f", "\xff", "é", `\u0041`, `\"`, "\u2028",
}

// edited returns documents that differ from text by one edit: each beginning of it, each document with one byte less,
// and for each place one that has a piece more or a piece instead of a byte. rounds is the number of pieces per place.
func edited(text string, rounds int, random *rand.Rand) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range len(text) {
			if !yield(text[:i]) || !yield(text[:i]+text[i+1:]) {
				return
			}
			for range rounds {
				piece := pieces[random.IntN(len(pieces))]
				if !yield(text[:i]+piece+text[i:]) || !yield(text[:i]+piece+text[i+1:]) {
					return
				}
			}
		}
		for _, piece := range pieces {
			if !yield(text+piece) || !yield(piece+text) {
				return
			}
		}
	}
}

// encoded has names and values of all kinds that the encoders distinguish.
const encoded = `{"EntityType":"User", "EventType":"userSetting","Timestamp":"2023-10-19T16:21:19.70+02:00",` +
	`"MessageTTLSeconds":-7,"Values":{"Ab":"x","CD":{"Ef":1.5e3}},"allowedValues":{},` +
	`"Äb":[[],{"IPAddress":[true,{"X Y":null}]}],"\u0041bC":"\n","AB":-0,"aB":"","EventTypes":1}`

// whole has all routing fields, too.
var whole = `{"OrganizationId":"` + orgText + `","EntityId":"` + entityText + `","Id":"` + idText + `",` + encoded[1:]

// TestEdited_agreesWithReferences compares everything that reads a message with references that use encoding/json, for
// a document and its neighbours. The fuzz tests do the same with documents that nobody chose.
func TestEdited_agreesWithReferences(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	c := events.Builtin()
	check := func(data string, encode bool) {
		checkDecode(t, c, []byte(data))
		if encode {
			checkJSON(t, c, []byte(data))
			checkMessagePack(t, c, []byte(data), packStyles[random.IntN(len(packStyles))])
		}
		if t.Failed() {
			t.Fatalf("with %q", data)
		}
	}
	for _, text := range []string{
		routed, strings.Replace(routed, `"OrganizationId"`, `"RootEntityType":"Organization", "A":[{}],"RootEntityId"`, 1),
	} {
		for data := range edited(text, 1, random) {
			check(data, false)
		}
	}
	for _, text := range []string{
		encoded, `{"EventType":7,"EntityType":"User","A":1}`, `{"eventType":["x"],"Timestamp":0,"Values":[{"Ab":1}]}`,
	} {
		for data := range edited(text, 2, random) {
			check(data, true)
		}
	}
}

// TestEdited_refusesBrokenStructure expects that Decode reads the structure of the message itself, while it skims the
// insides of values.
func TestEdited_refusesBrokenStructure(t *testing.T) {
	c := events.Builtin()
	structure := []string{`{`, `}`, `:`, `,`, `"`, "x", ""}
	for i := range len(routed) {
		for _, piece := range structure {
			data := routed[:i] + piece + routed[i+1:]
			if _, err := c.Decode([]byte(data)); err == nil && !json.Valid([]byte(data)) {
				t.Errorf("accepted %q", data)
			}
		}
	}
}

// TestEdited_skimsAsItDecodes compares Skim and DecodeIf with Decode, as far as they read.
func TestEdited_skimsAsItDecodes(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	c := events.Builtin()
	in := events.NewIngress(events.IngressOptions{Catalog: c, Validation: events.ValidateOff})
	for data := range edited(whole, 2, random) {
		want, wantErr := c.Decode([]byte(data))
		for _, wanted := range []bool{true, false} {
			isWanted := func(events.Topic) bool { return wanted }
			for _, read := range []func([]byte, func(events.Topic) bool) (events.Event, bool, error){in.DecodeIf, in.Skim} {
				got, ok, err := read([]byte(data), isWanted)
				switch {
				case wanted && (!errors.Is(err, wantErr) || ok != (err == nil)):
					t.Fatalf("%q: got %v, error %v, want %v", data, ok, err, wantErr)
				case wantErr != nil && err == nil && !wanted: // what is wrong lies behind the fields that it reads
				case wantErr != nil:
				case err != nil || got.Topic != want.Topic || string(got.Data) != data || ok != wanted:
					t.Fatalf("%q: got %+v, %v, error %v", data, got, ok, err)
				}
			}
			if got, _, err := in.Skim([]byte(data), isWanted); err == nil && wantErr == nil && got.ID != want.ID {
				t.Fatalf("%q: skimmed the Id %v, want %v", data, got.ID, want.ID)
			}
		}
	}
}

// TestEdited_readsOnlyTimestampsOfDotNet changes each byte of a timestamp to each other one.
func TestEdited_readsOnlyTimestampsOfDotNet(t *testing.T) {
	c := events.Builtin()
	for _, text := range []string{"2023-10-19T14:21:19", "2024-02-19T23:59:51.5Z", "0203-09-01T00:00:09.25-13:00"} {
		for i := range text {
			for b := range byte(0x7f) {
				changed := text[:i] + string(b) + text[i+1:]
				if strings.ContainsAny(changed, `"\`) {
					continue
				}
				ev := mustDecode(t, c, []byte(routed[:len(routed)-1]+`,"Timestamp":"`+changed+`"}`))
				if want := mustTime(changed); !ev.Timestamp.Equal(want) {
					t.Fatalf("%q: got %v, want %v", changed, ev.Timestamp, want)
				}
			}
		}
	}
}
