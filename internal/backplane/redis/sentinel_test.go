package redis

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// believer answers like a Sentinel that takes a server for the master.
type believer struct {
	address   string
	port      atomic.Int64 // of that server
	requested atomic.Int64 // number of queries
}

func mustBelieve(t *testing.T, port int64) *believer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &believer{address: listener.Addr().String()}
	s.port.Store(port)
	var running sync.WaitGroup
	running.Go(func() {
		for conn, err := listener.Accept(); err == nil; conn, err = listener.Accept() {
			running.Go(func() { s.answer(conn) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		running.Wait()
	})
	return s
}

// answer handles one command.
func (s *believer) answer(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		count, _ := strconv.Atoi(strings.TrimSpace(line[1:]))
		var command []string
		for range 2 * count { // each after its length
			if line, err = in.ReadString('\n'); err != nil {
				return
			}
			command = append(command, strings.TrimSpace(line))
		}
		answer := "-ERR unknown command\r\n"
		if strings.EqualFold(command[1], "sentinel") {
			s.requested.Add(1)
			port := strconv.FormatInt(s.port.Load(), 10)
			answer = fmt.Sprintf("*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%s\r\n", len(port), port)
		}
		if _, err := io.WriteString(conn, answer); err != nil {
			return
		}
	}
}

// A Sentinel that was cut off for a while names the former master. Each time it was queried, the node gave up the
// connection to the present one.
func TestSentinels_ignoreOneOldView(t *testing.T) {
	old, second, third := mustBelieve(t, 1111), mustBelieve(t, 2222), mustBelieve(t, 2222)
	s := &sentinels{master: "rte", options: &Options{
		Addresses: []string{old.address, second.address, third.address}, Dial: (&net.Dialer{}).DialContext,
		DialTimeout: 5 * time.Second, CommandTimeout: 5 * time.Second, ProbeInterval: time.Millisecond,
	}}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.watch(ctx, "127.0.0.1:2222") }()
	for old.requested.Load() < 5 {
		select {
		case err := <-ended:
			t.Fatalf("requested %d times: %v", old.requested.Load(), err)
		case <-time.After(time.Millisecond):
		}
	}
	third.port.Store(1111) // two of three
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "127.0.0.1:1111") {
		t.Errorf("the watch ended with %v", err)
	}
	stop()
	if err := s.watch(ctx, "127.0.0.1:2222"); err != nil {
		t.Errorf("stopped: %v", err)
	}
}
