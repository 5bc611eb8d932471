package proc_test

import (
	"net"
	"testing"
	"time"

	"github.com/rte-server/rte-server/bench/proc"
)

func TestSocketBytes_countsWhatThePeerHasNotRead(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	port := uint16(listener.Addr().(*net.TCPAddr).Port)
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	server, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	before, err := proc.SocketBytes(port)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.SetWriteDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	for err == nil { // until the buffers of both ends are full
		_, err = server.Write(make([]byte, 64<<10))
	}
	after, err := proc.SocketBytes(port)
	if err != nil {
		t.Fatal(err)
	}
	if before >= 64<<10 || after < 64<<10 {
		t.Errorf("%d bytes before, %d after", before, after)
	}
}

func TestSlab_isKnown(t *testing.T) {
	if n, err := proc.Slab(); err != nil || n < 1<<20 {
		t.Errorf("%d bytes, %v", n, err)
	}
}
