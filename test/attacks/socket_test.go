package attacks

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// The opcodes of WebSocket frames (RFC 6455, section 5.2).
const (
	opText  = 0x1
	opClose = 0x8
	opPing  = 0x9
	opPong  = 0xa
)

// socket is a client with a raw WebSocket. One goroutine may read while others write.
type socket struct {
	conn   net.Conn
	reader *bufio.Reader

	retryAfter string // of an upgrade that was refused

	mu sync.Mutex // held while a frame is written
}

// statusError is the HTTP status of an upgrade that was refused.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("HTTP %d", int(e)) }

// dial upgrades a connection. query is the query of the URL, or empty. The end of the context closes the connection.
func dial(ctx context.Context, host, token, query string) (*socket, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { conn.Close() })
	authorization := ""
	if token != "" {
		authorization = "Authorization: Bearer " + token + "\r\n"
	}
	request := "GET /rte" + query + " HTTP/1.1\r\nHost: " + host + "\r\n" + authorization + "Connection: Upgrade\r\n" +
		"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	s := &socket{conn: conn, reader: bufio.NewReader(conn)}
	if _, err := io.WriteString(conn, request); err != nil {
		conn.Close()
		return nil, err
	}
	response, err := http.ReadResponse(s.reader, nil)
	if err != nil {
		conn.Close()
		return nil, err
	}
	response.Body.Close()
	if response.StatusCode != http.StatusSwitchingProtocols {
		conn.Close()
		s.retryAfter = response.Header.Get("Retry-After")
		return s, statusError(response.StatusCode)
	}
	return s, nil
}

// dialHub also does the handshake of the hub protocol.
func dialHub(ctx context.Context, host, token, query string) (*socket, error) {
	s, err := dial(ctx, host, token, query)
	if err != nil {
		return nil, err
	}
	if err := s.send(`{"protocol":"json","version":1}`); err != nil {
		s.conn.Close()
		return nil, err
	}
	if _, err := s.read(); err != nil {
		s.conn.Close()
		return nil, err
	}
	return s, nil
}

// appendFrame appends a masked frame with a zero mask.
func appendFrame(dst []byte, op byte, payload string) []byte {
	dst = append(dst, 0x80|op)
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, 0x80|byte(n))
	case n < 1<<16:
		dst = binary.BigEndian.AppendUint16(append(dst, 0x80|126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, 0x80|127), uint64(n))
	}
	return append(append(dst, 0, 0, 0, 0), payload...)
}

// write writes frames.
func (s *socket) write(frames []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.conn.Write(frames)
	return err
}

// send sends a hub message.
func (s *socket) send(message string) error {
	return s.write(appendFrame(nil, opText, message+"\x1e"))
}

// read returns the payload of the next data frame, which may have several hub messages, and answers pings. The error
// of a frame that closes the connection is io.EOF.
func (s *socket) read() ([]byte, error) {
	for {
		var head [8]byte
		if _, err := io.ReadFull(s.reader, head[:2]); err != nil {
			return nil, err
		}
		op, n := head[0]&0xf, uint64(head[1]&0x7f)
		switch n {
		case 126:
			if _, err := io.ReadFull(s.reader, head[:2]); err != nil {
				return nil, err
			}
			n = uint64(binary.BigEndian.Uint16(head[:2]))
		case 127:
			if _, err := io.ReadFull(s.reader, head[:8]); err != nil {
				return nil, err
			}
			n = binary.BigEndian.Uint64(head[:8])
		}
		payload := make([]byte, n)
		if _, err := io.ReadFull(s.reader, payload); err != nil {
			return nil, err
		}
		switch op {
		case opClose:
			_ = s.write(appendFrame(nil, opClose, string(payload))) // the server may have closed the connection already
			return nil, io.EOF
		case opPing:
			if err := s.write(appendFrame(nil, opPong, string(payload))); err != nil {
				return nil, err
			}
		case opPong:
		default:
			return payload, nil
		}
	}
}

// drain reads until the connection ends.
func (s *socket) drain() {
	for {
		if _, err := s.read(); err != nil {
			return
		}
	}
}

// pause waits, or until the context ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
