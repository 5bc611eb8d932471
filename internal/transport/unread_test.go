package transport

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rte-server/rte-server/internal/transport/websocket"
)

const sendTimeout = 5 * time.Second

// slowConn returns a connection whose client has turned out slow, with a ping on its way behind n bytes.
func slowConn(limit, n int) (*Conn, *unread) {
	c := &Conn{h: &Handler{
		started: time.Now(), metrics: &metrics{}, options: Options{Timeouts: Timeouts{Send: sendTimeout}},
	}}
	u := newUnread(limit)
	u.wrote(n)
	u.ping(time.Since(c.h.started))
	c.unread.Store(u)
	return c, u
}

// answer is the pong to the ping with that number.
func (c *Conn) answer(number uint64) {
	c.unread.Load().pong(binary.BigEndian.AppendUint64(nil, number), time.Since(c.h.started))
}

func TestUnread_followsThePaceOfTheClient(t *testing.T) {
	const limit = 32 << 10
	for name, test := range map[string]struct {
		took  time.Duration // from the first ping to its pong, with 64 KiB in front of it
		bound int           // then; 0: the client is not slow any more
	}{
		"reads in no time":               {0, 0},
		"reads 640 KiB/s":                {100 * time.Millisecond, 0},
		"reads 128 KiB/s":                {500 * time.Millisecond, 64 << 10},
		"reads 50 KiB/s":                 {1280 * time.Millisecond, 25 << 10},
		"reads nearly nothing":           {4 * time.Second, limit / 2},
		"reads nothing for a long while": {time.Hour, limit / 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, u := slowConn(limit, limit)
				if !c.holdsBack() {
					t.Fatal("nothing is held back")
				}
				time.Sleep(test.took)
				c.answer(1)
				held := c.holdsBack()
				if held || (c.unread.Load() == nil) != (test.bound == 0) || test.bound > 0 && u.bound != test.bound {
					t.Errorf("held back: %v, bound %d; want %d", held, u.bound, test.bound)
				}
			})
		})
	}
}

func TestUnread_holdsBackUntilTheClientHasRead(t *testing.T) {
	end := func(c *Conn) { c.unread.Load().end() }
	for name, test := range map[string]struct {
		happens func(c *Conn) // a second after the ping
		until   time.Duration
	}{
		"the pong":                      {func(c *Conn) { c.answer(1) }, time.Second},
		"the end of the connection":     {end, time.Second},
		"nothing":                       {func(*Conn) {}, sendTimeout},
		"a pong without a ping":         {func(c *Conn) { c.unread.Load().pong([]byte("alive"), 1) }, sendTimeout},
		"a pong of no ping":             {func(c *Conn) { c.answer(0) }, sendTimeout},
		"the pong, long after its time": {func(c *Conn) { time.AfterFunc(time.Minute, func() { c.answer(1) }) }, sendTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := slowConn(32<<10, 32<<10)
				began := time.Now()
				time.AfterFunc(time.Second, func() { test.happens(c) })
				c.awaitClient()
				if took := time.Since(began); took != test.until {
					t.Errorf("writes wait for %v, want %v", took, test.until)
				}
				if c.holdsBack() {
					t.Error("writes are still held back")
				}
				time.Sleep(2 * time.Minute)
			})
		})
	}
}

// A client may read faster again, and bytes behind a ping must not count as read.
func TestUnread_countsBytesBehindThePing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, u := slowConn(32<<10, 0)
		u.wrote(20 << 10)
		time.Sleep(time.Second)
		c.answer(1)
		if !c.holdsBack() {
			t.Errorf("nothing is held back, with %d bytes behind the ping and room for %d", u.bytes, u.bound)
		}
		if u.bytes != 20<<10 {
			t.Errorf("%d bytes are unread, want %d", u.bytes, 20<<10)
		}
	})
}

// TestUnread_agreesWithModel compares what a slow client counts as not having read with the bytes behind the ping that
// came back, through random writes, pings, pongs and pauses.
func TestUnread_agreesWithModel(t *testing.T) {
	const limit = 32 << 10
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			c, u := slowConn(limit, 0)
			sent, back := uint64(1), uint64(0)                // pings
			unread, behind, before := limit, 0, limit         // bytes
			bound, at, came := limit, time.Now(), time.Time{} // of the ping; of its pong
			for step := range 300 {
				switch random.IntN(6) {
				case 0, 1:
					n := random.IntN(12 << 10)
					u.wrote(n)
					unread, behind = unread+n, behind+n
				case 2:
					if !u.waits() {
						number := binary.BigEndian.AppendUint64(nil, sent+1)
						if frame := u.ping(time.Since(c.h.started)); !bytes.HasSuffix(frame, number) {
							t.Fatalf("seed %d, step %d: ping %d is % x", seed, step, sent+1, frame)
						}
						sent, behind, before, at = sent+1, 0, unread, time.Now()
					}
				case 3:
					if random.IntN(20) > 0 { // else the client may read fast
						time.Sleep(time.Second)
					}
					if number := sent - uint64(random.IntN(2)); number > back {
						c.answer(number)
						back, came = number, time.Now()
					} else {
						c.answer(number) // once more, or too late
					}
				default:
					time.Sleep(time.Duration(random.IntN(1500)) * time.Millisecond)
				}
				if u.seen < sent && back == sent { // the writer learns of the pong now
					unread = behind
					pace := float64(before) / float64(max(came.Sub(at), time.Millisecond))
					bound = max(int(pace*float64(unreadFor)), limit/2)
				}
				waits := back < sent
				want := unread >= bound && time.Since(at) < sendTimeout || !waits && (unread >= bound || behind >= pingAfter)
				if bound >= fastFactor*limit {
					want = false
				}
				if got := c.holdsBack(); got != want || u.bytes != unread || u.waits() != waits {
					t.Fatalf("seed %d, step %d: holds back %v, want %v, with %d bytes of %d, want %d of %d; waits %v, want %v",
						seed, step, got, want, u.bytes, u.bound, unread, bound, u.waits(), waits)
				}
				if fast := c.unread.Load() == nil; fast != (bound >= fastFactor*limit) {
					t.Fatalf("seed %d, step %d: the client reads fast: %v, may have %d bytes", seed, step, fast, bound)
				} else if fast {
					return
				}
			}
		})
	}
}

// A write that waited makes the client a slow one, with a ping behind the write. The next ping follows the pong.
func TestUnread_beginsWithAWriteThatWaits(t *testing.T) {
	const limit, n = 32 << 10, 1000
	type outcome struct{ slow, pings, sent, bytes int }
	ping := len(newUnread(limit).ping(0))
	for name, test := range map[string]struct {
		change func(c *Conn)
		took   time.Duration
		again  func(c *Conn) // before another write
		want   outcome
	}{
		"at once":             {took: blockedWrite - 1},
		"late":                {took: blockedWrite, want: outcome{1, 1, ping, limit + n}},
		"without a limit":     {change: func(c *Conn) { c.h.options.Limits.UnreadBytes = 0 }, took: time.Second},
		"before the session":  {change: func(c *Conn) { c.opened.Store(false) }, took: time.Second},
		"without a WebSocket": {change: func(c *Conn) { c.link = &linked{} }, took: time.Second},
		"another one, before the pong": {
			took: time.Second, again: func(*Conn) {}, want: outcome{1, 1, ping, limit + 2*n},
		},
		"another one, after a slow pong": {
			took: time.Second, again: func(c *Conn) { time.Sleep(time.Second); c.answer(1) }, want: outcome{1, 2, 2 * ping, 0},
		},
		"another one, after a fast pong": {
			took: time.Second, again: func(c *Conn) { c.answer(1) }, want: outcome{1, 1, ping, 0},
		},
		"another one, at the end": {
			took: time.Second, again: func(c *Conn) { time.Sleep(time.Second); c.answer(1); c.release() },
			want: outcome{1, 1, ping, n},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, client := net.Pipe()
				var got []byte
				go func() { got, _ = io.ReadAll(client) }()
				limits := Limits{UnreadBytes: limit}
				h := &Handler{started: time.Now(), metrics: newMetrics(nil, &limits), options: Options{Limits: limits}}
				h.options.Timeouts.Send = sendTimeout
				c := &Conn{h: h}
				c.sock.Store(websocket.NewSocket(server, &h.buffers))
				c.opened.Store(true)
				if test.change != nil {
					test.change(c)
				}
				if err := c.wroteAll(n, test.took); err != nil {
					t.Fatal(err)
				}
				if test.again != nil {
					test.again(c)
					if err := c.wroteAll(n, 0); err != nil {
						t.Fatal(err)
					}
				}
				server.Close()
				synctest.Wait()
				o := outcome{int(testutil.ToFloat64(h.metrics.slow)), len(got) / ping, int(c.sent.Load()), 0}
				if u := c.unread.Load(); u != nil && o.pings < 2 {
					o.bytes = u.bytes
				}
				if o != test.want {
					t.Errorf("got %+v, want %+v", o, test.want)
				}
			})
		})
	}
}
