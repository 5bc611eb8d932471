package hubprotocol

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
	"github.com/rte-server/rte-server/internal/simulator"
	"github.com/rte-server/rte-server/internal/transport/websocket"
)

// encoders returns the encoders of both protocols.
func encoders() map[string]fanout.Encoder {
	catalog := events.Builtin()
	return map[string]fanout.Encoder{
		"json": NewJSONEncoder(catalog), "messagepack": NewMessagePackEncoder(catalog, events.PascalKeys),
	}
}

// samples returns the sample of every event.
func samples(t testing.TB) (all [][]byte) {
	t.Helper()
	paths, err := filepath.Glob("../../../testdata/events/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if ev, err := events.Builtin().Decode(text); err == nil && ev.Type != 0 {
			all = append(all, text)
		}
	}
	return all
}

// inflate returns the frame of a subscriber as it would be without compression, and whether it was compressed.
func inflate(t testing.TB, f fanout.Frame, id events.ID) (plain []byte, compressed bool) {
	t.Helper()
	frame := bytes.Clone(f.Bytes)
	id.Put(frame[f.IDOffset:])
	if frame[0]&websocket.Compressed == 0 {
		return frame, false
	}
	opcode, payload := websocket.Open(frame)
	var in websocket.Inflaters
	message, err := in.Inflate(payload, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return websocket.AppendFrame(nil, opcode, message), true
}

func TestDeflater_everySubscriberGetsItsID(t *testing.T) {
	for name, encoder := range encoders() {
		d, compressed := NewDeflater(1), 0
		for _, text := range samples(t) {
			f, err := encoder.Encode(decodeEvent(t, string(text)))
			if err != nil {
				t.Fatal(err)
			}
			small := d.Deflate(f)
			for range 2 {
				id := events.NewID()
				want := bytes.Clone(f.Bytes)
				id.Put(want[f.IDOffset:])
				got, is := inflate(t, small, id)
				if is {
					compressed++
				}
				if !bytes.Equal(got, want) {
					t.Fatalf("%s: got %q, want %q", name, got, want)
				}
			}
			if len(small.Bytes) > len(f.Bytes) {
				t.Errorf("%s: %d bytes have become %d", name, len(f.Bytes), len(small.Bytes))
			}
		}
		if compressed == 0 {
			t.Errorf("%s: nothing was compressed", name)
		}
	}
}

// Small frames stay as they are.
func TestDeflater_leavesSmallFrames(t *testing.T) {
	d := NewDeflater(1)
	for _, size := range []int{36, 100, minDeflated - 1} {
		payload := bytes.Repeat([]byte("x"), size)
		f := fanout.Frame{Bytes: websocket.AppendFrame(nil, websocket.OpText, payload), IDOffset: 2}
		if size > 125 {
			f.IDOffset = 4
		}
		if got := d.Deflate(f); &got.Bytes[0] != &f.Bytes[0] || got.IDOffset != f.IDOffset {
			t.Errorf("%d bytes were compressed", size)
		}
	}
}

func FuzzDeflater(f *testing.F) {
	f.Add([]byte("prefix"), bytes.Repeat([]byte("suffix "), 100))
	f.Add(bytes.Repeat([]byte("x"), 70_000), []byte{})
	d := NewDeflater(1)
	f.Fuzz(func(t *testing.T, prefix, suffix []byte) {
		id := events.NewID()
		payload := append(append(bytes.Clone(prefix), make([]byte, events.IDLen)...), suffix...)
		plain := fanout.Frame{Bytes: websocket.AppendFrame(nil, websocket.OpBinary, payload)}
		plain.IDOffset = len(plain.Bytes) - len(payload) + len(prefix)
		want := bytes.Clone(plain.Bytes)
		id.Put(want[plain.IDOffset:])
		if got, _ := inflate(t, d.Deflate(plain), id); !bytes.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// minute returns the events of a minute of the simulated call centre, an hour after its day began.
func minute(t testing.TB) (all [][]byte) {
	t.Helper()
	o := simulator.NewOrganization()
	scenario, err := simulator.LoadScenario("bad-monday", o)
	if err != nil {
		t.Fatal(err)
	}
	s, err := simulator.New(simulator.Options{Organization: o, Scenario: scenario, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	for s.Elapsed() < time.Hour+time.Minute {
		s.Advance(func(text []byte) {
			if s.Elapsed() >= time.Hour {
				all = append(all, bytes.Clone(text))
			}
		})
	}
	return all
}

// BenchmarkDeflater_minute measures the bytes for a client that subscribes to all events, in a minute of the simulated
// call centre, and the CPU time of encoding that minute once.
func BenchmarkDeflater_minute(b *testing.B) {
	for name, encoder := range encoders() {
		for _, on := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/deflate=%v", name, on), func(b *testing.B) {
				var all []*events.Event
				for _, text := range minute(b) {
					all = append(all, decodeEvent(b, string(text)))
				}
				d, size := NewDeflater(1), 0
				for b.Loop() {
					size = 0
					for _, ev := range all {
						f, err := encoder.Encode(ev)
						if err != nil {
							b.Fatal(err)
						}
						if on {
							f = d.Deflate(f)
						}
						size += len(f.Bytes)
					}
				}
				b.ReportMetric(float64(size), "B/minute")
				b.ReportMetric(float64(len(all)), "events")
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(all)), "ns/event")
			})
		}
	}
}

// BenchmarkDeflater measures the compression of one event, and its ratio.
func BenchmarkDeflater(b *testing.B) {
	for name, encoder := range encoders() {
		var frames []fanout.Frame
		for _, text := range samples(b) {
			f, err := encoder.Encode(decodeEvent(b, string(text)))
			if err != nil {
				b.Fatal(err)
			}
			frames = append(frames, f)
		}
		for level := 1; level <= 9; level += 4 {
			b.Run(name+"/level="+string(rune('0'+level)), func(b *testing.B) {
				d, before, after := NewDeflater(level), 0, 0
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					f := frames[i%len(frames)]
					before += len(f.Bytes)
					after += len(d.Deflate(f).Bytes)
				}
				b.ReportMetric(float64(before)/float64(b.N), "before-B")
				b.ReportMetric(float64(after)/float64(b.N), "after-B")
			})
		}
	}
}
