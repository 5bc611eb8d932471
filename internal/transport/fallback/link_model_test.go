package fallback_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rte-server/rte-server/internal/transport/fallback"
	"github.com/rte-server/rte-server/internal/transport/websocket"
)

// full is the number of bytes of whole messages from which on a Link takes no more.
const full = 32 << 10

// modelLink is a Link whose messages are a list.
type modelLink struct {
	stream                           bool
	messages                         []string // whole, as the client gets them
	receiver                         *fallback.Receiver
	left                             time.Time
	ended, finished, closed, lastOne bool
}

func (m *modelLink) size() (n int) {
	for _, message := range m.messages {
		n += len(message)
	}
	return n
}

// linkFacts are what a Link shows of itself.
type linkFacts struct {
	Over      bool
	Remaining time.Duration
}

func (m *modelLink) facts() linkFacts {
	f := linkFacts{Over: m.finished || m.closed}
	if !m.stream {
		f.Remaining = patience - time.Since(m.left)
		if m.receiver != nil {
			f.Remaining = patience
		}
	}
	return f
}

func facts(l *fallback.Link, m *modelLink) linkFacts {
	f := linkFacts{Over: l.Over()}
	if !m.stream {
		f.Remaining = l.Remaining(time.Now())
	}
	return f
}

// write returns how many bytes of a frame, or of the next part of one, the Link takes.
func (m *modelLink) write(p []byte, message string, whole bool) (n int, err error) {
	switch {
	case m.closed:
		return 0, net.ErrClosed
	case m.size() >= full:
		return 0, nil
	case whole && m.stream:
		message = "data: " + message + "\r\n\r\n"
	}
	if whole {
		m.messages = append(m.messages, message)
	}
	return len(p), nil
}

// next returns what a request gets at once.
func (m *modelLink) next(r *fallback.Receiver) (string, fallback.Outcome) {
	switch {
	case m.receiver != r:
		return "", fallback.Replaced
	case len(m.messages) > 0:
		all := strings.Join(m.messages, "")
		m.messages = nil
		return all, fallback.Messages
	case m.lastOne || m.finished || m.closed:
		return "", fallback.Over
	}
	return "", fallback.Late
}

// TestLink_agreesWithModel compares a Link with a list after each of many random steps: frames come whole and in
// parts, requests come, replace each other and leave, time passes, and in the end one of the ends comes.
func TestLink_agreesWithModel(t *testing.T) {
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			m := &modelLink{stream: seed%2 == 0, left: time.Now()}
			l := fallback.NewPolled(patience)
			if m.stream {
				l = fallback.NewStream()
			}
			var requests []*fallback.Receiver
			var frame []byte // under way
			var message string
			for step := range 120 {
				switch kind := random.IntN(100); {
				case kind < 40:
					if len(frame) == 0 {
						message = strings.Repeat(string(rune('a'+random.IntN(26))), 1+random.IntN(200))
						if random.IntN(8) == 0 {
							message = strings.Repeat("z", 20<<10)
						}
						if frame = text(message); random.IntN(6) == 0 { // no message for the client
							frame, message = websocket.AppendFrame(nil, websocket.OpPing, []byte("?")), ""
						}
					}
					if m.lastOne {
						frame = nil
						continue
					}
					n := len(frame)
					if random.IntN(3) == 0 {
						n = 1 + random.IntN(len(frame))
					}
					want, wantErr := m.write(frame[:n], message, n == len(frame) && message != "")
					got, err := l.TryWrite(frame[:n])
					if got != want || !errors.Is(err, wantErr) {
						t.Fatalf("seed %d, step %d: wrote %d bytes, %v; want %d, %v", seed, step, got, err, want, wantErr)
					}
					frame = frame[got:]
				case kind < 55:
					m.receiver = l.Receive()
					requests = append(requests, m.receiver)
				case kind < 75 && len(requests) > 0:
					r := requests[random.IntN(len(requests))]
					want, wantOutcome := m.next(r)
					if got, outcome := next(t, r, time.Second); got != want || outcome != wantOutcome {
						t.Fatalf("seed %d, step %d: %.50q %v, want %.50q %v", seed, step, got, outcome, want, wantOutcome)
					}
				case kind < 85 && len(requests) > 0:
					r := requests[random.IntN(len(requests))]
					if r.Leave(); r == m.receiver {
						m.receiver, m.left = nil, time.Now()
					}
				case kind < 95:
					time.Sleep(time.Duration(random.IntN(20)) * time.Second)
				default:
					m.end(t, l, random, &frame)
				}
				if diff := cmp.Diff(m.facts(), facts(l, m)); diff != "" {
					t.Fatalf("seed %d, step %d: %s", seed, step, diff)
				}
			}
			_, m.closed = l.Close(), true
			m.ends(t, l, m.ended)
		})
	}
}

// end plays one of the ends, or the last frame.
func (m *modelLink) end(t *testing.T, l *fallback.Link, random *rand.Rand, frame *[]byte) {
	t.Helper()
	switch random.IntN(6) {
	case 0:
		want := !m.ended && !m.finished && !m.closed
		if got := l.End(); got != want {
			t.Errorf("the client has ended the connection: %v, want %v", got, want)
		}
		if want {
			m.ended, m.finished, m.messages = true, true, nil
			*frame = nil
			m.lastOne = true // nothing more is written then
			m.ends(t, l, true)
		}
	case 1:
		l.Finish()
		m.finished = true
	case 2:
		_ = l.Close()
		m.closed, m.finished, m.messages = true, true, nil
	case 3:
		if len(*frame) > 0 || m.closed || m.lastOne || m.size() >= full {
			return
		}
		last := websocket.AppendClose(nil, websocket.StatusNormal)
		mustTryWrite(t, l, last, len(last))
		m.lastOne = true
	default: // the bytes of a request come
		if m.finished || m.closed {
			if l.Post([]byte("x")) == nil {
				t.Error("a connection that is over takes bytes")
			}
			return
		}
		posted := make(chan error, 1)
		go func() { posted <- l.Post([]byte("hello")) }()
		p := make([]byte, 5)
		if _, err := io.ReadFull(l, p); err != nil || string(p) != "hello" || <-posted != nil {
			t.Errorf("read %q, %v", p, err)
		}
	}
}

// ends checks what the connection reads at the end.
func (m *modelLink) ends(t *testing.T, l *fallback.Link, ended bool) {
	t.Helper()
	_, err := l.Read(make([]byte, 1))
	if got := errors.Is(err, fallback.ErrEnded); err == nil || got != ended && !m.closed {
		t.Errorf("read %v, ended by the client: %v", err, ended)
	}
}
