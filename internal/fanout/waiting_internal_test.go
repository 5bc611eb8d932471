package fanout

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// A plain list in place of the queue, the places and the counters of waiting.
func TestWaiting_model(t *testing.T) {
	const limit = 400
	now := time.Now()
	for seed := range uint64(6) {
		random := rand.New(rand.NewPCG(seed, 0))
		w, model := &waiting{}, []pending(nil)
		var exempt pending // the large frame that does not count
		ids := []events.ID{{1}, {2}}
		var got, want []string
		note := func(lines *[]string) (func(*broadcast), func(numbered)) {
			return func(b *broadcast) { *lines = append(*lines, fmt.Sprint("expired ", b.id)) },
				func(f numbered) { *lines = append(*lines, fmt.Sprint("kept ", f.id, len(f.frame), f.broadcast != nil)) }
		}
		for step := range 20_000 {
			got, want = nil, nil
			gotExpired, gotKept := note(&got)
			wantExpired, wantKept := note(&want)
			switch action := random.IntN(20); {
			case action < 10:
				p := randomPending(random, ids[random.IntN(2)], now.Add(time.Duration(step)))
				if p.answer && slices.ContainsFunc(model, func(p pending) bool { return p.answer }) {
					break
				}
				if b := w.push(p, limit, ProtocolJSON); b != nil {
					got = append(got, fmt.Sprint("replaced ", b.id))
				}
				i := slices.IndexFunc(model, func(o pending) bool {
					return p.broadcast != nil && p.broadcast.state && o.broadcast != nil && o.broadcast.state && o.id == p.id &&
						o.broadcast.key == p.broadcast.key
				})
				if i < 0 {
					model = append(model, p)
				} else {
					want = append(want, fmt.Sprint("replaced ", model[i].broadcast.id))
					p.since = model[i].since
					model[i] = p
				}
				if exempt.since == p.since {
					exempt = pending{}
				}
				if !p.answer && p.size(ProtocolJSON) > limit && exempt.since.IsZero() {
					exempt = p
				}
			case action < 17:
				buf, moved := w.next(nil, limit, ProtocolJSON, now, gotExpired, gotKept)
				got = append(got, string(buf), fmt.Sprint(moved))
				buf, moved = nil, 0
				for len(model) > 0 && len(buf) < limit && (model[0].broadcast != nil || len(model[0].frame) < limit) {
					p := model[0]
					model = model[1:]
					switch b := p.broadcast; {
					case b == nil:
						buf = append(buf, p.frame...)
						if p.counted {
							wantKept(numbered{frame: p.frame})
						}
					case b.expired(now):
						wantExpired(b)
					default:
						buf = b.frame(ProtocolJSON).splice(buf, p.id)
						moved++
						wantKept(numbered{broadcast: b, id: p.id})
					}
				}
				want = append(want, string(buf), fmt.Sprint(moved))
			case action < 19 || step%50 > 0:
				frame, counted := w.takeLarge(limit)
				got = append(got, fmt.Sprint(len(frame), counted))
				if len(model) == 0 || model[0].broadcast != nil || len(model[0].frame) < limit {
					want = append(want, "0 false")
					break
				}
				want = append(want, fmt.Sprint(len(model[0].frame), model[0].counted))
				model = model[1:]
			default:
				w.drop(gotExpired)
				for _, p := range model {
					if p.broadcast != nil {
						wantExpired(p.broadcast)
					}
				}
				model = nil
			}
			if !slices.Equal(got, want) {
				t.Fatalf("seed %d, step %d:\n got %q\nwant %q", seed, step, got, want)
			}
			bytes, large, answer := 0, 0, 0
			for i := range model {
				size := model[i].size(ProtocolJSON)
				bytes += size
				if model[i].answer {
					answer = size
				}
				if model[i].since == exempt.since {
					large = size
				}
			}
			if large == 0 {
				exempt = pending{} // it went out
			}
			if w.large != large || w.answer != answer {
				t.Fatalf("seed %d, step %d: do not count: %d and %d, want %d and %d", seed, step, w.large, w.answer, large, answer)
			}
			since, ok := w.oldest()
			if w.bytes != bytes || ok != (len(model) > 0) || ok && since != model[0].since {
				t.Fatalf("seed %d, step %d: %d bytes since %v, want %d", seed, step, w.bytes, since, bytes)
			}
		}
	}
}

// randomPending returns a frame that waits: an event that may have expired, a state, or a frame of one outbox.
func randomPending(random *rand.Rand, id events.ID, since time.Time) pending {
	p := pending{since: since, counted: random.IntN(2) == 0}
	switch kind := random.IntN(10); {
	case kind < 6:
		b := &broadcast{id: events.NewID(), state: kind < 3, key: events.ID{byte(random.IntN(3))}}
		if random.IntN(5) == 0 {
			b.expires = time.Unix(1, 0)
		}
		b.setFrame(ProtocolJSON, Frame{Bytes: []byte(strings.Repeat("e", events.IDLen+random.IntN(600)))})
		p.broadcast, p.id = b, id
	default:
		p.frame = slices.Repeat([]byte{byte('a' + random.IntN(26))}, 1+random.IntN(10)<<random.IntN(9))
		p.answer = kind == 9
	}
	return p
}

// The socket of a client that is always a little behind never has everything, and the list must not grow for it.
func TestWaiting_doesNotGrowForAClientThatIsAlwaysBehind(t *testing.T) {
	w := &waiting{}
	frame := []byte("frame")
	for range 100 {
		w.push(pending{frame: frame}, 1<<20, ProtocolJSON)
	}
	for range 10_000 {
		w.push(pending{frame: frame}, 1<<20, ProtocolJSON)
		w.push(pending{frame: frame}, 1<<20, ProtocolJSON)
		if buf, _ := w.next(nil, len(frame)+1, ProtocolJSON, time.Now(), nil, nil); string(buf) != "frameframe" {
			t.Fatalf("%q", buf)
		}
	}
	if n := cap(w.queue); n > 1000 {
		t.Errorf("room for %d frames, but 100 wait", n)
	}
}

// Under a flood a pass never ends: its frames join and leave.
func TestWindow_doesNotGrowWhileFramesComeAndGo(t *testing.T) {
	var w window
	for i := range 10_000 {
		frame := fmt.Appendf(nil, "%100d", i)
		w.add(frame)
		if i >= 3 {
			w.start += len(frame)
		}
		if last := w.bytes()[max(len(w.bytes())-len(frame), 0):]; string(last) != string(frame) {
			t.Fatalf("%q, want %q", last, frame)
		}
	}
	if len(w.bytes()) != 300 || cap(w.buf) > 4000 {
		t.Errorf("%d bytes in %d", len(w.bytes()), cap(w.buf))
	}
}

// A spare command keeps no large frame: there may be a million of them.
func TestSends_keepNoLargeFrame(t *testing.T) {
	var s sends
	c := s.get(nil, make([]byte, 64<<10))
	s.put(c)
	if c.frame != nil {
		t.Errorf("it keeps %d bytes", cap(c.frame))
	}
	small := s.get(nil, []byte("pong"))
	if s.put(small); cap(small.frame) == 0 {
		t.Error("it keeps no memory for a small frame")
	}
}
