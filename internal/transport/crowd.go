package transport

import (
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rte-server/rte-server/internal/transport/websocket"
)

const (
	// maxTurnedAway bounds the connections above Limits.Sockets that wait for their answer; further ones are reset. Each
	// takes a file descriptor for turnAwayTime at most.
	maxTurnedAway = 16
	turnAwayTime  = time.Second
)

// crowd are the connections that arrive when the port has no socket left for them.
type crowd chan struct{} // holds an element for each of them

func newCrowd() crowd { return make(crowd, maxTurnedAway) }

// turnAway answers a connection with 503 and ends it, in a goroutine of running. It resets the connection if too many
// others wait for the same.
func (c crowd) turnAway(conn net.Conn, running *sync.WaitGroup) {
	select {
	case c <- struct{}{}:
		running.Go(func() {
			defer func() { <-c }()
			answerCrowd(conn)
		})
	default:
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a socket that cannot be reset is closed
		}
		_ = conn.Close() // the connection ends whether or not this works
	}
}

// answerCrowd answers the first bytes of a connection. It reads on until the peer ends the connection: an end with
// unread bytes could destroy the answer on its way.
func answerCrowd(conn net.Conn) {
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(turnAwayTime)); err != nil {
		return
	}
	buf := make([]byte, 4<<10)
	if _, err := conn.Read(buf); err != nil {
		return
	}
	body := refusals[refusedDescriptors].text
	answer := "HTTP/1.1 503 " + http.StatusText(http.StatusServiceUnavailable) + "\r\nContent-Type: text/plain\r\n" +
		"Content-Length: " + strconv.Itoa(len(body)) + "\r\nRetry-After: " + retryAfter() +
		"\r\nConnection: close\r\n\r\n" + body
	if _, err := io.Copy(conn, strings.NewReader(answer)); err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		if err := tcp.CloseWrite(); err != nil {
			return
		}
	}
	for range 64 { // a peer that sends without an end has no use for the answer
		if _, err := conn.Read(buf); err != nil {
			return
		}
	}
}

const (
	// silentTimeout is how long a connection without a byte is safe from displace.
	silentTimeout = time.Second
	// displaced is how many connections displace compares.
	displaced = 8
)

// displace closes a connection that has been silent for long, to make room for another one, and reports whether it
// found one. Without it, connections that send nothing keep all others away until they reach the time limit.
func (e *entrance) displace(now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	oldest, since, seen := (*websocket.Socket)(nil), now.Add(-silentTimeout), 0
	for sock, at := range e.waiting { // begins anywhere
		if at.Before(since) {
			oldest, since = sock, at
		}
		if seen++; seen == displaced {
			break
		}
	}
	if oldest == nil {
		return false
	}
	delete(e.waiting, oldest)
	e.h.metrics.waiting.Dec()
	e.arrived.Add(-1)
	oldest.Close()
	return true
}
