package events_test

import (
	"encoding/hex"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

var guidForm = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// slowID is a slow reference for ParseID.
func slowID(text string) (id events.ID, ok bool) {
	if !guidForm.MatchString(text) {
		return events.ID{}, false
	}
	bytes, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	return events.ID(bytes), err == nil
}

// Most tests read the ids that they expect with ParseID, too. A mistake in it would look right to them.
func TestID_readsAndWritesHexadecimalDigits(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	check := func(text string) {
		t.Helper()
		want, wantOK := slowID(text)
		got, ok := events.ParseID(text)
		other, otherOK := events.ParseID([]byte(text))
		if got != want || ok != wantOK || other != want || otherOK != wantOK {
			t.Fatalf("%q: got %x, %v and %x, %v, want %x, %v", text, got[:], ok, other[:], otherOK, want[:], wantOK)
		}
		if lower := strings.ToLower(text); ok && (got.String() != lower || string(got.Append([]byte("x"))) != "x"+lower) {
			t.Fatalf("%q: written as %s", text, got)
		}
	}
	for range 1000 {
		var id events.ID
		for i := range id {
			id[i] = byte(random.Uint32())
		}
		digits := hex.EncodeToString(id[:])
		text := []byte(strings.Join([]string{digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]}, "-"))
		for i := range text {
			if random.IntN(2) == 0 {
				text[i] = strings.ToUpper(string(text[i]))[0]
			}
		}
		check(string(text))
	}
	for i := range idText {
		for c := range 256 {
			check(idText[:i] + string([]byte{byte(c)}) + idText[i+1:])
		}
		check(idText[:i])
		check(idText[:i] + "0" + idText[i:])
		check(idText[:i] + idText[i+1:])
	}
}

func TestNewID_isRandomInAllOtherBits(t *testing.T) {
	var ones, zeros events.ID // bits that were one, bits that were zero
	for range 200 {
		id := events.NewID()
		if _, ok := id.Time(); ok || id[6]>>4 != 4 || id[8]>>6 != 2 {
			t.Fatalf("%s is of another version", id)
		}
		for i := range id {
			ones[i] |= id[i]
			zeros[i] |= ^id[i]
		}
	}
	for i := range ones {
		fixed := map[int]byte{6: 0xf0, 8: 0xc0}[i]
		if ones[i]&zeros[i] != ^fixed {
			t.Errorf("byte %d: the bits %08b were ones, the bits %08b zeros", i, ones[i], zeros[i])
		}
	}
}

// The trace of events reads from the id of a subscription which events came before it.
func TestNewIDAt_containsItsTime(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		want := time.UnixMicro(random.Int64N(4_000_000_000_000_000))
		id := events.NewIDAt(want)
		if got, ok := id.Time(); !ok || got.After(want) || want.Sub(got) > 2*time.Microsecond {
			t.Fatalf("%s has the time %v, %v, want %v", id, got, ok, want)
		}
		if earlier := events.NewIDAt(want.Add(-time.Millisecond)); earlier.String() >= id.String() {
			t.Fatalf("%s of a millisecond earlier is not before %s", earlier, id)
		}
		if events.NewIDAt(want) == id {
			t.Fatalf("%s came twice", id)
		}
	}
}
