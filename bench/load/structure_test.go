package load

import (
	"bytes"
	"testing"
	"time"
)

func TestSequence_classifiesDeliveries(t *testing.T) {
	tests := []struct {
		name             string
		numbers          []uint32
		late, duplicates int
		received         uint32
	}{
		{"in order", []uint32{1, 2, 3}, 0, 0, 3},
		{"a gap is missing", []uint32{1, 2, 5}, 0, 0, 3},
		{"a late one fills its gap", []uint32{1, 3, 2}, 1, 0, 3},
		{"a repetition does not count", []uint32{1, 2, 2, 1}, 0, 2, 2},
		{"the first of all comes late", []uint32{2, 1}, 1, 0, 2},
		{"a gap wider than the window", []uint32{1, 100, 2}, 1, 0, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s sequence
			var lates, duplicates int
			for _, n := range tt.numbers {
				switch s.next(n) {
				case late:
					lates++
				case duplicate:
					duplicates++
				case inOrder:
				}
			}
			if lates != tt.late || duplicates != tt.duplicates || s.received != tt.received {
				t.Errorf("late %d, duplicates %d, received %d; want %d, %d, %d",
					lates, duplicates, s.received, tt.late, tt.duplicates, tt.received)
			}
		})
	}
}

func TestHistogram_Quantile_isPrecise(t *testing.T) {
	var h Histogram
	for i := range 100_000 {
		h.Add(int64(time.Duration(i) * time.Microsecond))
	}
	for _, q := range []float64{0.5, 0.99, 0.999} {
		want := time.Duration(q*100_000) * time.Microsecond
		if got := h.Quantile(q); got < want*63/64 || got > want*65/64 {
			t.Errorf("quantile %v is %v, want %v within 1/64", q, got, want)
		}
	}
	if h.Max() != 99_999*time.Microsecond {
		t.Errorf("max is %v", h.Max())
	}
}

func TestGroup_slotInvertsTopic(t *testing.T) {
	g := Group{Connections: 50, First: 7, Span: 20, Count: 6, Stride: 3}
	for i := range g.Connections {
		own := map[uint32]int{}
		for n := range g.Count {
			own[g.Topic(i, n)] = n
		}
		for topic := range uint32(40) {
			want, ok := own[topic]
			if !ok {
				want = -1
			}
			if got := g.slot(g.base(i), topic); got != want {
				t.Fatalf("connection %d, topic %d: slot %d, want %d", i, topic, got, want)
			}
		}
	}
}

func TestCutFrame_readsFrames(t *testing.T) {
	for _, size := range []int{0, 1, 125, 126, 127, 65534, 65535, 65536, 70000} {
		payload := bytes.Repeat([]byte{'p'}, size)
		data := clientFrame(opText, payload)
		// Make it a server's frame, without the mask bit and the 4 bytes of mask.
		data[1] &^= 0x80
		head := len(data) - size - 4
		data = append(data[:head:head], data[head+4:]...)
		if _, _, ok := cutFrame(data[:len(data)-1]); ok {
			t.Errorf("%d bytes: an incomplete frame was taken", size)
		}
		f, rest, ok := cutFrame(append(data, 'r'))
		if !ok || !f.final || f.opcode != opText || !bytes.Equal(f.payload, payload) || string(rest) != "r" {
			t.Errorf("%d bytes: got %d bytes, rest %q", size, len(f.payload), rest)
		}
	}
}

func FuzzCutFrame(f *testing.F) {
	f.Add([]byte{0x81, 1, 'a'})
	f.Add([]byte{0x81, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(_ *testing.T, data []byte) {
		for ok := true; ok; {
			_, data, ok = cutFrame(data)
		}
	})
}

func BenchmarkText1KB(b *testing.B) {
	message := append(bytes.Repeat([]byte{'x'}, 600), []byte("~00000000000000010000000000000003")...)
	message = append(message, bytes.Repeat([]byte{'x'}, 500)...)
	g := &Group{Span: 1, Count: 1, latency: &Histogram{}}
	c := &conn{group: g, state: ready, sequences: make([]sequence, 1)}
	l := &Client{until: 1 << 62}
	b.ReportAllocs()
	for b.Loop() {
		if l.text(c, message, 1000) != 1 {
			b.Fatal("not delivered")
		}
	}
}
