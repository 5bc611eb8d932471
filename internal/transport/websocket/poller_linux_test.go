package websocket

import (
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// patience bounds the time that a test waits for something.
const patience = time.Minute

func startPoller(t testing.TB) *Poller {
	t.Helper()
	p, err := StartPoller()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// idler is a reader that only waits. ReadOn reports each start.
type idler struct {
	s       *Socket
	started chan struct{}
}

func newIdler(s *Socket) *idler { return &idler{s, make(chan struct{}, 16)} }

func (i *idler) ReadOn() { i.started <- struct{}{} }

// starts waits for a start of the reader.
func (i *idler) starts(t testing.TB) {
	t.Helper()
	select {
	case <-i.started:
	case <-time.After(patience):
		t.Fatal("the reader did not start")
	}
}

// waits makes the reader wait.
func (i *idler) waits(t testing.TB, p *Poller) {
	t.Helper()
	if !i.s.ReadLater(p, i) {
		t.Fatal("the reader has to wait by itself")
	}
}

// reads returns what the reader reads.
func (i *idler) reads(t testing.TB) string {
	t.Helper()
	buf, n, err := i.s.Read(false)
	if err != nil {
		t.Fatal(err)
	}
	defer i.s.buffers.Put(buf)
	return string(buf[:n])
}

func write(t testing.TB, conn net.Conn, text string) {
	t.Helper()
	if _, err := conn.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

func TestPoller_startsTheReaderWhenBytesCome(t *testing.T) {
	p := startPoller(t)
	s, client := pair(t)
	i := newIdler(s)
	for range 3 {
		i.waits(t, p)
		write(t, client, "bytes")
		i.starts(t)
		if got := i.reads(t); got != "bytes" {
			t.Errorf("read %q", got)
		}
		write(t, client, "before the wait")
		i.waits(t, p)
		i.starts(t)
		if got := i.reads(t); got != "before the wait" {
			t.Errorf("read %q", got)
		}
	}
	i.waits(t, p)
	_ = client.Close()
	i.starts(t)
	if _, _, err := s.Read(false); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

// Whatever ends a wait does it once, and the read that follows reports it. From then on the reader keeps its goroutine.
func TestPoller_startsTheReaderWhenTheServerEndsTheWait(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(*Socket)
		want error
	}{
		"wake":  {(*Socket).WakeReader, nil},
		"close": {(*Socket).Close, net.ErrClosed},
		"abort": {(*Socket).Abort, net.ErrClosed},
		"close during a write": {func(s *Socket) {
			s.guard.Store(socketWriting)
			s.Close()
			s.written()
		}, net.ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			p := startPoller(t)
			s, _ := pair(t)
			i := newIdler(s)
			i.waits(t, p)
			test.end(s)
			test.end(s)
			i.starts(t)
			if _, _, err := s.Read(false); !errors.Is(err, test.want) && !(test.want == nil && IsTimeout(err)) {
				t.Errorf("read: %v", err)
			}
			if s.ReadLater(p, i) {
				t.Error("waits once more")
			}
			if len(i.started) > 0 {
				t.Error("the reader started twice")
			}
			if p.waitsFor(s) {
				t.Error("the poller keeps the socket")
			}
		})
	}
}

func (p *Poller) waitsFor(s *Socket) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Contains(p.waiting, s)
}

func TestPoller_isNotUsed(t *testing.T) {
	p := startPoller(t)
	t.Run("without a descriptor", func(t *testing.T) {
		server, client := net.Pipe()
		defer client.Close()
		s := NewSocket(server, &ReadBuffers{})
		defer s.Close()
		if s.ReadLater(p, newIdler(s)) {
			t.Error("waits")
		}
	})
	t.Run("without a poller", func(t *testing.T) {
		s, _ := pair(t)
		if s.ReadLater(nil, newIdler(s)) {
			t.Error("waits")
		}
	})
	t.Run("after a wake-up that came before", func(t *testing.T) {
		s, _ := pair(t)
		s.WakeReader()
		if s.ReadLater(p, newIdler(s)) {
			t.Error("waits")
		}
	})
	t.Run("if the kernel refuses", func(t *testing.T) {
		closed, err := StartPoller()
		if err != nil {
			t.Fatal(err)
		}
		closed.Close()
		s, client := pair(t)
		i := newIdler(s)
		i.waits(t, closed)
		i.starts(t)
		if s.ReadLater(closed, i) {
			t.Error("waits once more")
		}
		write(t, client, "bytes")
		if got := i.reads(t); got != "bytes" {
			t.Errorf("read %q", got)
		}
	})
}

// A descriptor is used again as soon as it is closed. An event of the socket that had it before starts the reader of
// the socket that has it now, which finds nothing, and misses nothing.
func TestPoller_eventOfAnEarlierSocket(t *testing.T) {
	p := startPoller(t)
	s, client := pair(t)
	i := newIdler(s)
	i.waits(t, p)
	for _, s := range p.take(nil, []syscall.EpollEvent{{Fd: int32(s.fd), Events: syscall.EPOLLHUP}}) {
		s.readOn()
	}
	i.starts(t)
	write(t, client, "bytes")
	if got := i.reads(t); got != "bytes" {
		t.Errorf("read %q", got)
	}
	for range 2 { // the event of the first wait may still be on its way
		i.waits(t, p)
		write(t, client, "more")
		i.starts(t)
		if got := i.reads(t); got != "more" {
			t.Errorf("read %q", got)
		}
	}
	if events := p.take(nil, []syscall.EpollEvent{{Fd: int32(s.fd)}}); len(events) > 0 {
		t.Error("an event of a socket whose reader runs")
	}
}

// echo is a reader as a connection has one: it answers what it reads, and waits.
type echo struct {
	t      *testing.T
	s      *Socket
	p      *Poller
	active atomic.Int32 // goroutines that read
	ended  chan<- struct{}
}

func (e *echo) ReadOn() {
	if e.active.Add(1) != 1 {
		e.t.Error("two goroutines read")
	}
	for {
		buf, n, err := e.s.Read(false)
		if err != nil {
			e.s.Close()
			e.ended <- struct{}{}
			return
		}
		if m, err := e.s.TryWrite(buf[:n]); m != n && err == nil {
			e.t.Errorf("the socket took %d of %d bytes", m, n)
		}
		e.s.buffers.Put(buf)
		e.active.Add(-1)
		if e.s.ReadLater(e.p, e) {
			return
		}
		e.active.Add(1)
	}
}

// Many sockets are read, closed, woken and replaced at once, so that their descriptors are used again and again. Each
// reader ends once, and misses nothing before.
func TestPoller_manySocketsAtOnce(t *testing.T) {
	const clients, rounds = 40, 10
	p := startPoller(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	accepted, ended := make(chan *Socket, clients*rounds), make(chan struct{}, 2*clients*rounds)
	go func() {
		defer close(accepted)
		for range clients * rounds {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s := NewSocket(conn, &ReadBuffers{})
			go (&echo{t: t, s: s, p: p, ended: ended}).ReadOn()
			accepted <- s
		}
	}()
	ends := []func(*Socket){func(*Socket) {}, (*Socket).WakeReader, (*Socket).Close, (*Socket).Abort}
	var running sync.WaitGroup
	for n := range clients {
		running.Go(func() {
			for range rounds {
				if err := talk(listener.Addr(), func() { ends[n%len(ends)](<-accepted) }); err != nil {
					t.Error(err)
					_ = listener.Close()
				}
			}
		})
	}
	running.Wait()
	for n := range clients * rounds {
		select {
		case <-ended:
		case <-time.After(patience):
			t.Fatalf("%d of %d readers ended", n, clients*rounds)
		}
	}
	if len(ended) > 0 {
		t.Error("a reader ended twice")
	}
}

// talk sends to an echo and calls end, which may end that connection or another one. It returns an error if an answer
// is wrong, or does not come.
func talk(addr net.Addr, end func()) error {
	defer end()
	conn, err := net.Dial("tcp", addr.String())
	if errors.Is(err, syscall.ECONNRESET) {
		return nil // accepted and aborted at once
	}
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	for _, text := range []string{"one", strings.Repeat("two", 2000), "three"} {
		answer := make([]byte, len(text))
		if _, err = conn.Write([]byte(text)); err == nil {
			_, err = io.ReadFull(conn, answer)
		}
		if IsTimeout(err) {
			return err
		}
		if err == nil && string(answer) != text {
			return errors.New("other bytes than those sent") //nolint:err113 // of a test
		}
	}
	return nil
}

// BenchmarkPoller compares the two ways to wait for a message: with a goroutine, and without.
func BenchmarkPoller(b *testing.B) {
	for name, p := range map[string]*Poller{"Goroutine": nil, "Poller": startPoller(b)} {
		b.Run(name, func(b *testing.B) {
			s, client := pair(b)
			ended := make(chan struct{}, 1)
			go (&echo{s: s, p: p, ended: ended}).ReadOn()
			message := make([]byte, 20)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := client.Write(message); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(client, message); err != nil {
					b.Fatal(err)
				}
			}
			s.Close()
			<-ended
		})
	}
}
