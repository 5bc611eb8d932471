package relay_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
)

// direct is a socket to the owner without a relay.
func direct(b *testing.B) (net.Conn, *bufio.Reader) {
	b.Helper()
	server := httptest.NewServer(http.HandlerFunc(echo))
	b.Cleanup(server.Close)
	n := &node{t: b, clients: server}
	conn, reader, _ := n.upgrade("owner-1")
	return conn, reader
}

// relayed is a socket to the owner through another node.
func relayed(b *testing.B) (net.Conn, *bufio.Reader) {
	b.Helper()
	entry, _ := startNodes(b, echo)
	conn, reader, _ := entry.upgrade("owner-1")
	return conn, reader
}

// BenchmarkUpgrade_roundTrip is the time of 200 bytes to the owner and back, with and without a relay.
func BenchmarkUpgrade_roundTrip(b *testing.B) {
	for name, open := range map[string]func(*testing.B) (net.Conn, *bufio.Reader){"direct": direct, "relayed": relayed} {
		b.Run(name, func(b *testing.B) {
			conn, reader := open(b)
			expect(b, reader, "early now ")
			message := make([]byte, 200)
			for b.Loop() {
				_, _ = conn.Write(message)
				if _, err := io.ReadFull(reader, message); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkUpgrade_bulk is the throughput from the owner to the client.
func BenchmarkUpgrade_bulk(b *testing.B) {
	for name, open := range map[string]func(*testing.B) (net.Conn, *bufio.Reader){"direct": direct, "relayed": relayed} {
		b.Run(name, func(b *testing.B) {
			conn, reader := open(b)
			expect(b, reader, "early now ")
			const size = 64 << 10
			b.SetBytes(size)
			go func() {
				message := make([]byte, size)
				for {
					if _, err := conn.Write(message); err != nil {
						return
					}
				}
			}()
			message := make([]byte, size)
			for b.Loop() {
				if _, err := io.ReadFull(reader, message); err != nil {
					b.Fatal(err)
				}
			}
			conn.Close()
		})
	}
}

// BenchmarkUpgrade_begin is the time until a client has another socket: to find the owner, a handshake between the
// nodes, and the upgrade.
func BenchmarkUpgrade_begin(b *testing.B) {
	entry, _ := startNodes(b, echo)
	for b.Loop() {
		conn, _, status := entry.upgrade("owner-1")
		conn.Close()
		if status != http.StatusSwitchingProtocols {
			b.Fatal(status)
		}
	}
}

// BenchmarkFind is the time of a search for the owner on two other nodes.
func BenchmarkFind(b *testing.B) {
	entry, owner := startNodes(b, echo)
	other := startNode(b, "other", echo)
	entry.know(other.addr(), owner.addr())
	for b.Loop() {
		if _, ok := entry.Find(b.Context(), "owner-1"); !ok {
			b.Fatal("not found")
		}
	}
}

// BenchmarkUpgrade_memory reports the memory of a relayed idle socket: on the node in between, and for TLS at its
// owner. It leaves out the owner's part of any socket, and the client.
func BenchmarkUpgrade_memory(b *testing.B) {
	const sockets = 500
	used := func() float64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc + m.StackInuse)
	}
	perSocket := func(open func() (net.Conn, *bufio.Reader, int)) float64 {
		var kept []net.Conn
		before := used()
		for range sockets {
			conn, reader, _ := open()
			expect(b, reader, "early now ")
			kept = append(kept, conn)
		}
		after := used()
		for _, conn := range kept {
			conn.Close()
		}
		return (after - before) / sockets
	}
	for b.Loop() {
		server := httptest.NewServer(http.HandlerFunc(echo))
		n := &node{t: b, clients: server}
		plain := perSocket(func() (net.Conn, *bufio.Reader, int) { return n.upgrade("owner-1") })
		server.Close()
		entry, _ := startNodes(b, echo)
		b.ReportMetric(perSocket(func() (net.Conn, *bufio.Reader, int) { return entry.upgrade("owner-1") })-plain, "B/socket")
	}
}
