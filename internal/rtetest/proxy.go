package rtetest

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Proxy is a TCP proxy between a program and a server of a test. It simulates the faults of networks.
type Proxy struct {
	// Addr is the address of the proxy.
	Addr string

	target   string
	listener net.Listener
	running  sync.WaitGroup

	dials  atomic.Int64
	delay  atomic.Int64 // nanoseconds, for bytes from the server
	split  atomic.Int64 // the maximum number of the server's bytes per write; 0: no maximum
	refuse atomic.Bool

	mu    sync.Mutex
	hole  chan struct{}      // guarded by mu; not nil: blocks all bytes until it is closed
	pairs map[*pair]struct{} // guarded by mu
}

// pair is a connection of a client and its connection to the server.
type pair struct {
	client, server net.Conn
	hung           chan struct{} // guarded by Proxy.mu; not nil: blocks all bytes until it is closed
}

// MustStartProxy starts a proxy in front of an address. The end of the test stops it.
func MustStartProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	p := &Proxy{Addr: l.Addr().String(), target: target, listener: l, pairs: map[*pair]struct{}{}}
	p.running.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.Open()
		p.Cut()
		p.running.Wait()
	})
	return p
}

// Dials returns the number of connections so far.
func (p *Proxy) Dials() int64 { return p.dials.Load() }

// Delay delays everything from the server.
func (p *Proxy) Delay(d time.Duration) { p.delay.Store(int64(d)) }

// Split divides the data of the server into writes of at most n bytes; 0: no maximum.
func (p *Proxy) Split(n int) { p.split.Store(int64(n)) }

// Refuse sets whether the proxy closes new connections at once.
func (p *Proxy) Refuse(on bool) { p.refuse.Store(on) }

// Cut closes all connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.pairs {
		_ = c.client.Close()
		_ = c.server.Close()
		if c.hung != nil {
			close(c.hung)
			c.hung = nil
		}
	}
}

// Hang blocks all bytes on the existing connections, which stay open. New connections work.
func (p *Proxy) Hang() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.pairs {
		if c.hung == nil {
			c.hung = make(chan struct{})
		}
	}
}

// Blackhole blocks all bytes in both directions until Open, on existing connections, which stay open, and on new ones.
func (p *Proxy) Blackhole() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hole == nil {
		p.hole = make(chan struct{})
	}
}

// Open ends a Blackhole. Bytes that were written meanwhile arrive late, like packets that are sent again.
func (p *Proxy) Open() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hole != nil {
		close(p.hole)
		p.hole = nil
	}
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		p.dials.Add(1)
		if p.refuse.Load() {
			_ = client.Close()
			continue
		}
		p.running.Go(func() { p.serve(client) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer server.Close()
	c := &pair{client: client, server: server}
	p.mu.Lock()
	p.pairs[c] = struct{}{}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.pairs, c)
		p.mu.Unlock()
	}()
	var up sync.WaitGroup
	up.Go(func() { p.copy(c, server, client, false) })
	p.copy(c, client, server, true)
	up.Wait()
}

// copy copies bytes from one side to the other until either ends.
func (p *Proxy) copy(c *pair, to, from net.Conn, down bool) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		for part := buf[:n]; len(part) > 0; {
			p.wait(c)
			size := len(part)
			if down {
				time.Sleep(time.Duration(p.delay.Load()))
				if s := int(p.split.Load()); s > 0 {
					size = min(s, size)
				}
			}
			if _, err := to.Write(part[:size]); err != nil {
				return
			}
			part = part[size:]
		}
		if err != nil {
			return
		}
	}
}

// wait waits until bytes may pass.
func (p *Proxy) wait(c *pair) {
	p.mu.Lock()
	all, one := p.hole, c.hung
	p.mu.Unlock()
	if all != nil {
		<-all
	}
	if one != nil {
		<-one
	}
}
