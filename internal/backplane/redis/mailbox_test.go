package redis

import (
	"testing"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/backplanetest"
	"github.com/rte-server/rte-server/internal/backplane/resp"
	"github.com/rte-server/rte-server/internal/backplane/sequence"
	"github.com/rte-server/rte-server/internal/events"
)

// A lane without a free worker got an action for each dropped message, without a bound.
func TestMailbox_overflowsAreOneAction(t *testing.T) {
	var m mailbox
	overflow := func(n int) {
		for range n {
			m.overflow(&overflowed{sequence.Break{Plain: 1}})
		}
	}
	overflow(1000)
	m.put(entry{action: left{}}, 0)
	overflow(10)
	taken, bytes := m.take()
	if len(taken) != 3 || bytes != 3*entryCost {
		t.Fatalf("%d notices of %d bytes, want 3", len(taken), bytes)
	}
	for i, want := range map[int]int{0: 1000, 2: 10} {
		if got := taken[i].action.(*overflowed).lapse.Plain; got != want {
			t.Errorf("action %d is about %d messages, want %d", i, got, want)
		}
	}
	overflow(1) // the worker has the earlier ones
	if again, _ := m.take(); len(again) != 1 || taken[2].action.(*overflowed).lapse.Plain != 10 {
		t.Errorf("%d notices, want another", len(again))
	}
}

// A lane that falls behind reports the era of the first message that it drops: plain events since then may be missing.
func TestOffer_reportsTheEraOfTheFirstDroppedMessage(t *testing.T) {
	b, err := New(Options{
		Addresses: []string{"127.0.0.1:1"}, LaneQueue: 300, // room for two or three messages
		Options: backplane.Options{Catalog: events.Builtin(), Sink: backplanetest.NewRecorder()},
	})
	if err != nil {
		t.Fatal(err)
	}
	l := &lane{load: &load{}}
	eras := []*sequence.Era{{}, {}, {}, {}, {}, {}}
	for i := range eras {
		b.offer(l, entry{payload: make([]byte, 60), era: eras[i]})
		taken := l.mailbox.entries
		if o, ok := taken[len(taken)-1].action.(*overflowed); ok {
			if i < 2 || o.lapse.Era != eras[0] || o.lapse.Plain != i+1 {
				t.Errorf("message %d: %+v, want the era of the first one", i, o.lapse)
			}
			return
		}
	}
	t.Error("the mailbox has no bound")
}

// Each queued message kept its whole chunk alive, with the messages of all other lanes in it: 400 KB of messages took
// 200 MB.
func TestMailbox_messagesHoldFewChunks(t *testing.T) {
	for name, test := range map[string]struct {
		each   int // messages of 1 KB in a chunk
		copied bool
	}{
		"one message in a chunk":      {1, true},
		"a chunk full of them":        {resp.ChunkSize >> 10, false},
		"every other message in them": {resp.ChunkSize >> 11, false},
	} {
		t.Run(name, func(t *testing.T) {
			const count = 1 << 10
			var m mailbox
			var owner resp.Pool
			var c *resp.Chunk
			used := map[*resp.Chunk]int64{}
			for i := range count {
				if i%test.each == 0 {
					c = owner.Get(resp.ChunkSize)
				}
				used[c]++
				payload := c.Bytes()[i%test.each<<10:][:1<<10]
				payload[0] = byte(i)
				m.put(entry{payload: payload, chunk: c}, 0)
			}
			held := map[*resp.Chunk]bool{}
			copies, number := 0, 0
			for taken, _ := m.take(); len(taken) > 0; taken, _ = m.take() {
				for _, it := range taken {
					if it.payload[0] != byte(number) || len(it.payload) != 1<<10 {
						t.Fatalf("message %d is another", number)
					}
					if number++; it.chunk == nil {
						copies++
					} else {
						held[it.chunk] = true
						it.chunk.Release(1)
					}
				}
			}
			if number != count || copies > 0 != test.copied || len(held) > chunksHeld+2*chunkRatio*count<<10/resp.ChunkSize {
				t.Errorf("%d of %d messages were copied, %d chunks held", copies, number, len(held))
			}
			for c, given := range used {
				for range given {
					c.Give()
				}
				if !c.Finish() {
					t.Fatal("a chunk is in use")
				}
			}
			if m.put(entry{payload: c.Bytes()[:1], chunk: c}, 0); m.chunks != 1 {
				t.Errorf("an empty mailbox counts %d chunks", m.chunks-1)
			}
		})
	}
}
