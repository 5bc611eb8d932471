package fallback_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rte-server/rte-server/internal/transport/fallback"
	"github.com/rte-server/rte-server/internal/transport/websocket"
)

// patience is how long a client may take for its next request.
const patience = time.Minute

// text returns the frame of a message.
func text(payload string) []byte {
	return websocket.AppendFrame(nil, websocket.OpText, []byte(payload))
}

// next waits for messages in fake time.
func next(t *testing.T, r *fallback.Receiver, timeout time.Duration) (string, fallback.Outcome) {
	t.Helper()
	messages, outcome := r.Next(t.Context(), timeout)
	return string(messages), outcome
}

// mustTryWrite writes frames. The link must take n bytes of them.
func mustTryWrite(t *testing.T, l *fallback.Link, p []byte, n int) {
	t.Helper()
	if got, err := l.TryWrite(p); got != n || err != nil {
		t.Fatalf("wrote %d bytes, %v; want %d", got, err, n)
	}
}

func TestLink_handsOutMessages(t *testing.T) {
	frames := append(text("one\x1e"), text("two\n\r\x1e")...)
	frames = append(frames, websocket.AppendFrame(nil, websocket.OpPong, []byte("?"))...)
	frames = append(frames, text(strings.Repeat("x", 300))...)
	frames = append(frames, websocket.AppendClose(nil, websocket.StatusNormal)...)
	long := strings.Repeat("x", 300)
	for name, test := range map[string]struct {
		link *fallback.Link
		want string
	}{
		"polled": {fallback.NewPolled(patience), "one\x1etwo\n\r\x1e" + long},
		"stream": {fallback.NewStream(), "data: one\x1e\r\n\r\ndata: two  \x1e\r\n\r\ndata: " + long + "\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			defer test.link.Close()
			r := test.link.Receive()
			defer r.Leave()
			mustTryWrite(t, test.link, frames, len(frames))
			if got, outcome := next(t, r, 0); got != test.want || outcome != fallback.Messages {
				t.Errorf("%q %v, want %q", got, outcome, test.want)
			}
			if _, outcome := next(t, r, 0); outcome != fallback.Over {
				t.Errorf("after the Close frame: %v", outcome)
			}
		})
	}
}

// A request never gets a part of a message.
func TestLink_handsOutWholeMessages(t *testing.T) {
	l := fallback.NewPolled(patience)
	defer l.Close()
	frame := text(strings.Repeat("y", 100_000))
	r := l.Receive()
	defer r.Leave()
	mustTryWrite(t, l, text("first"), 7)
	mustTryWrite(t, l, frame[:3], 3)
	if got, _ := next(t, r, 0); got != "first" {
		t.Errorf("%q", got)
	}
	mustTryWrite(t, l, frame[3:60_000], 59_997)
	if got, outcome := next(t, r, time.Millisecond); outcome != fallback.Late {
		t.Errorf("%q %v", got, outcome)
	}
	mustTryWrite(t, l, frame[60_000:], len(frame)-60_000)
	if got, _ := next(t, r, 0); len(got) != 100_000 {
		t.Errorf("%d bytes", len(got))
	}
}

// A full link takes no bytes until a request has fetched its messages.
func TestLink_isBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := fallback.NewPolled(patience)
		frame := text(strings.Repeat("z", 40<<10))
		mustTryWrite(t, l, frame, len(frame))
		mustTryWrite(t, l, frame, 0)
		written := goWrite(l, frame)
		time.Sleep(patience - time.Second)
		r := l.Receive()
		for range 2 {
			if got, _ := next(t, r, time.Second); len(got) != 40<<10 {
				t.Errorf("%d bytes", len(got))
			}
			synctest.Wait()
		}
		if err := <-written; err != nil {
			t.Error(err)
		}
		r.Leave()
		_ = l.Close()
	})
}

// goWrite writes frames to a link that may be full.
func goWrite(l *fallback.Link, frames []byte) <-chan error {
	written := make(chan error, 1)
	go func() {
		_, err := l.Write(frames)
		written <- err
	}()
	return written
}

// A write to a full link ends at its deadline. It ends earlier if a client that polls is lost.
func TestLink_writesEndInTime(t *testing.T) {
	for name, test := range map[string]struct {
		newLink func() *fallback.Link
		want    time.Duration
	}{
		"stream": {fallback.NewStream, time.Second},
		"polled": {func() *fallback.Link { return fallback.NewPolled(patience) }, patience},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, began := test.newLink(), time.Now()
				frame := text(strings.Repeat("z", 40<<10))
				mustTryWrite(t, l, frame, len(frame))
				_ = l.SetWriteDeadline(began.Add(time.Second))
				if err := <-goWrite(l, frame); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Error(err)
				}
				if took := time.Since(began); took != test.want {
					t.Errorf("took %s, want %s", took, test.want)
				}
				_ = l.Close()
			})
		})
	}
}

func TestLink_writesEndWithClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := fallback.NewPolled(patience)
		frame := text(strings.Repeat("z", 40<<10))
		mustTryWrite(t, l, frame, len(frame))
		written := goWrite(l, frame)
		synctest.Wait()
		_ = l.Close()
		if err := <-written; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Write: %v", err)
		}
		if _, err := l.TryWrite(frame); !errors.Is(err, net.ErrClosed) {
			t.Errorf("TryWrite: %v", err)
		}
	})
}

// Whoever waits goes on at once when there is a reason, and not before.
func TestLink_wakesWhoWaits(t *testing.T) {
	big := text(strings.Repeat("z", 40<<10))
	for name, test := range map[string]struct {
		happens func(l *fallback.Link) // after a second
		outcome fallback.Outcome       // of a request that waits
	}{
		"a message":                 {func(l *fallback.Link) { _, _ = l.TryWrite(text("!")) }, fallback.Messages},
		"a waiting write":           {func(l *fallback.Link) { _, _ = l.Write(text("!")) }, fallback.Messages},
		"the next request":          {func(l *fallback.Link) { l.Receive() }, fallback.Replaced},
		"the end by the client":     {func(l *fallback.Link) { l.End() }, fallback.Over},
		"the end of the requests":   {func(l *fallback.Link) { l.Finish() }, fallback.Over},
		"the end of the connection": {func(l *fallback.Link) { _ = l.Close() }, fallback.Over},
		"the last frame": {func(l *fallback.Link) {
			_, _ = l.TryWrite(websocket.AppendClose(nil, websocket.StatusNormal))
		}, fallback.Over},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, began := fallback.NewStream(), time.Now()
				defer l.Close()
				time.AfterFunc(time.Second, func() { test.happens(l) })
				if _, outcome := next(t, l.Receive(), time.Hour); outcome != test.outcome || time.Since(began) != time.Second {
					t.Errorf("%v after %v, want %v", outcome, time.Since(began), test.outcome)
				}
			})
		})
	}
	for name, test := range map[string]struct {
		newLink func() *fallback.Link
		happens func(t *testing.T, l *fallback.Link) // after a second
		want    time.Duration                        // of a write to a full link
		err     error
	}{
		"stream, with a request": {fallback.NewStream, func(t *testing.T, l *fallback.Link) {
			t.Helper()
			next(t, l.Receive(), time.Second)
		}, time.Second, nil},
		"polled, by a request that waits beyond the patience": {newPolled, func(t *testing.T, l *fallback.Link) {
			t.Helper()
			r := l.Receive() // it only holds the client here
			time.AfterFunc(3*patience, func() { r.Leave() })
		}, time.Second + 4*patience, os.ErrDeadlineExceeded},
		"stream, at the deadline of its begin": {fallback.NewStream, func(t *testing.T, l *fallback.Link) {
			t.Helper()
			_ = l.SetWriteDeadline(time.Time{}) // of later writes
		}, patience / 2, os.ErrDeadlineExceeded},
		"polled, at the end": {newPolled, func(_ *testing.T, l *fallback.Link) { _ = l.Close() }, time.Second, net.ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, began := test.newLink(), time.Now()
				defer l.Close()
				mustTryWrite(t, l, big, len(big))
				_ = l.SetWriteDeadline(began.Add(patience / 2))
				written := goWrite(l, big)
				time.Sleep(time.Second)
				test.happens(t, l)
				if err := <-written; !errors.Is(err, test.err) || time.Since(began) != test.want {
					t.Errorf("written after %v: %v; want %v, %v", time.Since(began), err, test.want, test.err)
				}
			})
		})
	}
}

func newPolled() *fallback.Link { return fallback.NewPolled(patience) }

func TestReceiver_outcomes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := fallback.NewPolled(patience)
		if _, outcome := next(t, l.Receive(), time.Second); outcome != fallback.Late {
			t.Errorf("no message: %v", outcome)
		}
		older := l.Receive()
		waits := make(chan fallback.Outcome, 1)
		go func() {
			_, outcome := older.Next(context.Background(), 0)
			older.Leave()
			waits <- outcome
		}()
		synctest.Wait()
		younger := l.Receive()
		if outcome := <-waits; outcome != fallback.Replaced {
			t.Errorf("another request: %v", outcome)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, outcome := younger.Next(ctx, 0); outcome != fallback.Gone {
			t.Errorf("given up: %v", outcome)
		}
		time.Sleep(time.Hour)
		if d := l.Remaining(time.Now()); d != patience {
			t.Errorf("%s remain while a request waits", d)
		}
		younger.Leave()
		time.Sleep(time.Second)
		if d := l.Remaining(time.Now()); d != patience-time.Second {
			t.Errorf("%s remain a second later", d)
		}
		last := l.Receive()
		if !l.End() || l.End() {
			t.Error("the end counts once")
		}
		if _, outcome := last.Next(t.Context(), 0); outcome != fallback.Over {
			t.Errorf("ended: %v", outcome)
		}
		_ = l.Close()
	})
}

// The connection reads the bytes that the client posts, until one of them ends it.
func TestLink_reads(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(*fallback.Link)
		want error
	}{
		"ended by the client": {func(l *fallback.Link) { l.End() }, fallback.ErrEnded},
		"nothing to fetch":    {func(l *fallback.Link) { l.Finish() }, io.EOF},
		"closed":              {func(l *fallback.Link) { _ = l.Close() }, io.ErrClosedPipe},
	} {
		t.Run(name, func(t *testing.T) {
			l := fallback.NewPolled(patience)
			posted := make(chan error, 1)
			go func() { posted <- l.Post([]byte("hello")) }()
			got := make([]byte, 5)
			if _, err := io.ReadFull(l, got); err != nil || string(got) != "hello" {
				t.Errorf("%q %v", got, err)
			}
			if err := <-posted; err != nil {
				t.Error(err)
			}
			test.end(l)
			if _, err := l.Read(got); !errors.Is(err, test.want) {
				t.Errorf("%v, want %v", err, test.want)
			}
			if err := l.Post([]byte("more")); err == nil {
				t.Error("a post after the end succeeded")
			}
			if !l.Over() {
				t.Error("the link is not over")
			}
			_ = l.Close()
		})
	}
}

// Writes may cut frames anywhere. The messages do not depend on that.
func FuzzLink(f *testing.F) {
	f.Add(append(text("hello"), websocket.AppendFrame(nil, websocket.OpPing, nil)...), 1, true)
	f.Add(append(text(strings.Repeat("x", 126)), text("")...), 3, false)
	f.Add([]byte{0x82, 127, 0, 0, 0, 0, 0, 0, 0, 1, 7}, 2, false)
	f.Fuzz(func(t *testing.T, frames []byte, cut int, polled bool) {
		newLink := fallback.NewStream
		if polled {
			newLink = func() *fallback.Link { return fallback.NewPolled(patience) }
		}
		whole, pieces := newLink(), newLink()
		defer whole.Close()
		defer pieces.Close()
		cut = max(1, min(cut, len(frames)))
		if _, err := whole.TryWrite(frames); err != nil {
			t.Fatal(err)
		}
		r := pieces.Receive()
		var got []byte
		for p := frames; len(p) > 0; p = p[min(cut, len(p)):] {
			if _, err := pieces.TryWrite(p[:min(cut, len(p))]); err != nil {
				t.Fatal(err)
			}
			got = append(got, drain(r)...)
		}
		if want := drain(whole.Receive()); !bytes.Equal(got, want) {
			t.Errorf("in pieces %q, whole %q", got, want)
		}
	})
}

// drain returns the waiting messages.
func drain(r *fallback.Receiver) []byte {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	messages, _ := r.Next(ctx, 0)
	return messages
}
