package peer

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

// redisServer is a Redis without persistence.
func redisServer(at netip.AddrPort) *Broker {
	return &Broker{
		Path: "redis-server",
		Args: []string{
			"--bind", at.Addr().String(), "--port", strconv.Itoa(int(at.Port())),
			"--save", "", "--appendonly", "no", "--daemonize", "no",
		},
		Ready: at.String(),
	}
}

// redisPublisher sends PUBLISH commands to the lane of each event's organization.
type redisPublisher struct {
	conn    net.Conn
	replies *bufio.Reader
	buffer  []byte
}

func dialRedis(ctx context.Context, address netip.AddrPort) (Publisher, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address.String())
	if err != nil {
		return nil, fmt.Errorf("connect to Redis: %w", err)
	}
	return &redisPublisher{conn: conn, replies: bufio.NewReader(conn)}, nil
}

// Publish sends all commands, then reads all replies.
func (p *redisPublisher) Publish(ctx context.Context, events []Event) error {
	stop := context.AfterFunc(ctx, func() { _ = p.conn.Close() })
	defer stop()
	p.buffer = p.buffer[:0]
	for _, ev := range events {
		p.buffer = append(p.buffer, "*3\r\n"...)
		p.buffer = appendBulk(p.buffer, []byte("PUBLISH"))
		p.buffer = appendBulk(p.buffer, []byte("rte:org:"+ev.Topic.Organization))
		p.buffer = appendBulk(p.buffer, ev.Payload)
	}
	if _, err := p.conn.Write(p.buffer); err != nil {
		return fmt.Errorf("send to Redis: %w", err)
	}
	for range events {
		line, err := p.replies.ReadString('\n')
		if err != nil {
			return fmt.Errorf("read from Redis: %w", err)
		}
		if line[0] != ':' {
			return fmt.Errorf("%w: Redis replied %q", ErrPublish, line)
		}
	}
	return nil
}

// Close closes the connection.
func (p *redisPublisher) Close() error { return p.conn.Close() }

func appendBulk(dst, text []byte) []byte {
	dst = append(dst, '$')
	dst = strconv.AppendInt(dst, int64(len(text)), 10)
	dst = append(dst, "\r\n"...)
	dst = append(dst, text...)
	return append(dst, "\r\n"...)
}
