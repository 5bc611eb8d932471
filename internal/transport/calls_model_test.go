package transport

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rte-server/rte-server/internal/hub"
)

// slowSession runs each call until a test releases it, or it is canceled.
type slowSession struct {
	Session

	release chan struct{}
	ended   []string // ids, with a mark if the call was canceled
}

func (s *slowSession) Invoke(ctx context.Context, call *hub.Invocation) {
	if ctx.Err() == nil {
		select {
		case <-s.release:
			s.ended = append(s.ended, call.ID)
			return
		case <-ctx.Done():
		}
	}
	if errors.Is(context.Cause(ctx), hub.ErrCanceled) {
		s.ended = append(s.ended, call.ID+" canceled")
	}
}

// modelCall is a call that runs or waits.
type modelCall struct {
	id                 string
	bytes, reserved    int
	canceled, answered bool
}

// callsModel is a connection with a list of its calls.
type callsModel struct {
	*testing.T
	*rand.Rand
	c      *Conn
	s      *slowSession
	calls  []modelCall
	ended  []string
	number int
}

// invoke begins a call, as the reader does.
func (m *callsModel) invoke() {
	m.number++
	call := modelCall{id: fmt.Sprint(m.number), bytes: m.IntN(1200)}
	if m.IntN(3) == 0 {
		call.reserved = smallMessage + 1 + m.IntN(1000)
		m.c.reserve(call.reserved)
	}
	ahead := 0
	for i := range m.calls {
		if i > 0 {
			ahead += m.calls[i].bytes
		}
	}
	waits := len(m.calls) > maxCallsAhead || len(m.calls) > 0 && ahead+call.bytes > maxCallBytesAhead
	done := make(chan struct{})
	go func() {
		m.c.invoke(&hub.Invocation{ID: call.id}, call.bytes)
		close(done)
	}()
	synctest.Wait()
	select {
	case <-done:
		if waits {
			m.Fatalf("call %s is read, with %d bytes of %d calls ahead", call.id, ahead, len(m.calls))
		}
	default:
		if !waits {
			m.Fatalf("call %s waits, with %d bytes of %d calls ahead", call.id, ahead, len(m.calls))
		}
		for len(m.calls) > 0 {
			m.finish()
		}
		<-done
	}
	m.calls = append(m.calls, call)
}

// finish ends the call that runs, and with it those behind that were canceled.
func (m *callsModel) finish() {
	m.s.release <- struct{}{}
	synctest.Wait()
	m.ended = append(m.ended, m.calls[0].id)
	m.calls = m.calls[1:]
	m.skipCanceled()
}

func (m *callsModel) skipCanceled() {
	for len(m.calls) > 0 && m.calls[0].canceled {
		m.ended = append(m.ended, m.calls[0].id+" canceled")
		m.calls = m.calls[1:]
	}
}

// cancel cancels a call that may be unknown, waiting, under way or answered.
func (m *callsModel) cancel() {
	id := fmt.Sprint(m.number - m.IntN(10))
	m.c.cancelCall(id)
	synctest.Wait()
	for i := range m.calls {
		if call := &m.calls[i]; call.id == id && !call.answered {
			call.canceled = true
		}
	}
	m.skipCanceled()
}

// check compares what the connection holds for its calls.
func (m *callsModel) check() {
	m.Helper()
	reserved := 0
	for i := range m.calls {
		reserved += m.calls[i].reserved
	}
	h := m.c.h
	if n := h.pending.Load(); n != int64(reserved) || testutil.ToFloat64(h.metrics.pending) != float64(reserved) {
		m.Fatalf("%d bytes are held, counted %v, want %d", n, testutil.ToFloat64(h.metrics.pending), reserved)
	}
	if busyNow := m.c.lastRead.Load() == busy; busyNow != (len(m.calls) > 0) || (m.c.underway.Load() != nil) != busyNow {
		m.Fatalf("the client timeout pauses: %v, with %d calls", busyNow, len(m.calls))
	}
	if !slices.Equal(m.s.ended, m.ended) {
		m.Fatalf("ended are %v, want %v", m.s.ended, m.ended)
	}
}

// TestCalls_agreeWithModel compares the calls of a connection with a list after each of many random steps: calls come,
// end, are answered and canceled. They run in order, one at a time, and only so many are read ahead.
func TestCalls_agreeWithModel(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			limits := Limits{PendingBytes: 1 << 30}
			c := &Conn{h: &Handler{
				started: time.Now(), invoking: t.Context(), metrics: newMetrics(nil, &limits), options: Options{Limits: limits},
			}}
			m := &callsModel{T: t, Rand: rand.New(rand.NewPCG(seed, 0)), c: c, s: &slowSession{release: make(chan struct{})}}
			c.session = m.s
			for range 200 {
				switch m.IntN(10) {
				case 0, 1, 2, 3, 4:
					m.invoke()
				case 5:
					if m.number > 0 {
						m.cancel()
					}
				case 6:
					if len(m.calls) > 0 {
						c.underway.Load().answered()
						m.calls[0].answered = true
					}
				default:
					if len(m.calls) > 0 {
						m.finish()
					}
				}
				m.check()
			}
			for len(m.calls) > 0 {
				m.finish()
			}
			c.awaitCalls()
			m.check()
		})
	}
}
