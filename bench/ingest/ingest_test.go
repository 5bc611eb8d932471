package ingest_test

import (
	"reflect"
	"testing"

	"github.com/rte-server/rte-server/bench/ingest"
)

func TestCut_reversesAppend(t *testing.T) {
	events := []ingest.Event{
		{Channel: []byte("a.userstatus"), Payload: []byte("one")},
		{Channel: []byte{}, Payload: []byte("two")},
	}
	data := ingest.Append(nil, events)
	for n := range len(data) {
		if _, _, ok := ingest.Cut(nil, data[:n]); ok {
			t.Fatalf("%d of %d bytes were taken for a batch", n, len(data))
		}
	}
	got, rest, ok := ingest.Cut(nil, append(data, "next"...))
	if !ok || string(rest) != "next" || !reflect.DeepEqual(got, events) {
		t.Errorf("got %q, rest %q", got, rest)
	}
}

func FuzzCut(f *testing.F) {
	f.Add(ingest.Append(nil, []ingest.Event{{Payload: []byte("x")}}))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(_ *testing.T, data []byte) {
		for ok := true; ok && len(data) > 0; {
			_, data, ok = ingest.Cut(nil, data)
		}
	})
}
