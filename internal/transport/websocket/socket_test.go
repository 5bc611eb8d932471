package websocket

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"
	"unsafe"
)

// pair is a TCP connection: the socket of the server's end, and the client's end.
func pair(t testing.TB) (*Socket, net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Close()
		client.Close()
	})
	return NewSocket(server, &ReadBuffers{}), client
}

func TestSocket_TryWriteNeverWaits(t *testing.T) {
	s, client := pair(t)
	chunk := bytes.Repeat([]byte("x"), 64<<10)
	sent := 0
	for full := false; !full; {
		n, err := s.TryWrite(chunk)
		if err != nil {
			t.Fatal(err)
		}
		sent += n
		full = n < len(chunk)
	}
	if n, err := s.TryWrite(chunk); n != 0 || err != nil {
		t.Fatalf("a full socket took %d bytes: %v", n, err)
	}
	if _, err := io.CopyN(io.Discard, client, int64(sent)); err != nil {
		t.Fatal(err)
	}
	if n, err := s.TryWrite([]byte("more")); n != 4 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	client.Close()
	for err := error(nil); err == nil; {
		_, err = s.TryWrite(chunk)
	}
	s.Close()
	if _, err := s.TryWrite(chunk); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a closed socket: %v", err)
	}
}

// A closed descriptor may be reused at once, so it stays open until a write to it is over.
func TestSocket_IsNotClosedDuringAWrite(t *testing.T) {
	for name, end := range map[string]func(*Socket){"close": (*Socket).Close, "abort": (*Socket).Abort} {
		t.Run(name, func(t *testing.T) {
			s, client := pair(t)
			s.guard.Store(socketWriting)
			end(s)
			end(s)
			if n, err := writeNow(s.fd, []byte("x")); n != 1 || err != nil {
				t.Fatalf("closed during a write: %d, %v", n, err)
			}
			s.written()
			if _, err := s.TryWrite([]byte("y")); !errors.Is(err, net.ErrClosed) {
				t.Errorf("after the write: %v", err)
			}
			if _, err := s.conn.Write([]byte("y")); !errors.Is(err, net.ErrClosed) {
				t.Errorf("the connection: %v", err)
			}
			end(s)
			_, _ = io.Copy(io.Discard, client) // until the end
		})
	}
}

func TestSocket_CloseAndTryWriteAtOnce(t *testing.T) {
	for range 200 {
		s, client := pair(t)
		var working sync.WaitGroup
		working.Go(func() {
			for err := error(nil); err == nil; {
				_, err = s.TryWrite([]byte("x"))
			}
		})
		working.Go(func() { _, _ = io.Copy(io.Discard, client) })
		working.Go(s.Close)
		working.Wait()
	}
}

func TestSocket_TryWriteDoesNotAllocate(t *testing.T) {
	s, client := pair(t)
	var reading sync.WaitGroup
	reading.Go(func() { _, _ = io.Copy(io.Discard, client) })
	frame := bytes.Repeat([]byte("x"), 1000)
	allocs := testing.AllocsPerRun(1000, func() {
		if _, err := s.TryWrite(frame); err != nil {
			t.Error(err)
		}
	})
	if allocs != 0 {
		t.Errorf("allocated %v times per write, want 0", allocs)
	}
	s.Close()
	reading.Wait()
}

// Reading does not allocate either, and a waiting reader holds no buffer.
func TestSocket_ReadDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector drops pooled buffers on purpose")
	}
	s, client := pair(t)
	message := []byte("message")
	allocs := testing.AllocsPerRun(1000, func() {
		if _, err := client.Write(message); err != nil {
			t.Error(err)
		}
		buf, n, err := s.Read(false)
		if err != nil || !bytes.Equal(buf[:n], message) {
			t.Errorf("%d bytes, %v", n, err)
		}
		s.buffers.Put(buf)
	})
	if allocs != 0 {
		t.Errorf("allocated %v times per read, want 0", allocs)
	}
}

func TestSocket_WriteAllHasATimeout(t *testing.T) {
	s, _ := pair(t)
	big := make([]byte, 64<<20)
	if err := s.WriteAll(big, 50*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	s, client := pair(t)
	var reading sync.WaitGroup
	reading.Go(func() {
		if n, _ := io.Copy(io.Discard, client); n != int64(len(big)+4) {
			t.Errorf("%d bytes came", n)
		}
	})
	if err := s.WriteAll(big, time.Minute); err != nil {
		t.Error(err)
	}
	if n, err := s.TryWrite([]byte("more")); n != 4 || err != nil {
		t.Errorf("behind it: %d, %v", n, err)
	}
	s.Close()
	reading.Wait()
}

func TestSocket_WakeReader(t *testing.T) {
	s, client := pair(t)
	woken := make(chan error, 1)
	go func() {
		_, _, err := s.Read(false)
		woken <- err
	}()
	s.WakeReader()
	if err := <-woken; !IsTimeout(err) {
		t.Errorf("the reader that waits: %v", err)
	}
	if _, _, err := s.Read(false); !IsTimeout(err) {
		t.Errorf("the next read: %v", err)
	}
	s.ClearReadDeadline()
	if _, err := client.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if buf, n, err := s.Read(false); err != nil || n != 1 || buf[0] != 'x' {
		t.Errorf("%d bytes, %v", n, err)
	}
	client.Close()
	if _, _, err := s.Read(false); !errors.Is(err, io.EOF) {
		t.Errorf("the end: %v", err)
	}
}

// TryWrite misses the processor's cache for each line of a socket that it reads.
func TestSocket_keepsTheFieldsOfAWriteTogether(t *testing.T) {
	var s Socket
	for name, end := range map[string]uintptr{
		"raw": unsafe.Offsetof(s.raw) + unsafe.Sizeof(s.raw), "fd": unsafe.Offsetof(s.fd) + unsafe.Sizeof(s.fd),
		"guard": unsafe.Offsetof(s.guard) + unsafe.Sizeof(s.guard),
	} {
		if end > 32 {
			t.Errorf("%s ends at byte %d of the socket, want 32 at most", name, end)
		}
	}
}
