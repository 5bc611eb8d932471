package redis_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// replies is a proxy in front of a Redis that changes its replies.
type replies struct {
	address string
	change  atomic.Pointer[func(reply []byte) []byte] // nil: they stay as they are
}

// mustChangeReplies starts a proxy. The end of the test stops it.
func mustChangeReplies(t *testing.T, target string) *replies {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &replies{address: listener.Addr().String()}
	var running sync.WaitGroup
	t.Cleanup(func() {
		listener.Close()
		running.Wait()
	})
	running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target)
			if err != nil {
				client.Close()
				continue
			}
			running.Go(func() {
				defer server.Close()
				_, _ = io.Copy(server, client) // ends with the client
			})
			running.Go(func() {
				defer client.Close()
				p.copyReplies(client, server)
			})
		}
	})
	return p
}

// copyReplies copies replies until one of the ends is closed.
func (p *replies) copyReplies(client io.Writer, server io.Reader) {
	for in := bufio.NewReader(server); ; {
		reply, err := readReply(in)
		if err != nil {
			return
		}
		if change := p.change.Load(); change != nil {
			reply = (*change)(reply)
		}
		if _, err := client.Write(reply); err != nil {
			return
		}
	}
}

// readReply reads a whole reply as it is.
func readReply(in *bufio.Reader) ([]byte, error) {
	reply, err := in.ReadBytes('\n')
	if err != nil {
		return nil, err
	}
	length, _ := strconv.Atoi(string(bytes.TrimSpace(reply[1:])))
	switch reply[0] {
	case '$', '=':
		if length < 0 {
			return reply, nil
		}
		text := make([]byte, length+len("\r\n"))
		_, err = io.ReadFull(in, text)
		return append(reply, text...), err
	case '%':
		length *= 2
	case '*', '>', '~':
	default:
		return reply, nil
	}
	for range length {
		element, err := readReply(in)
		if err != nil {
			return nil, err
		}
		reply = append(reply, element...)
	}
	return reply, nil
}

// The connections answered each PING and delivered no message: those of a master that was replaced, or that lost its
// subscriptions, look like that. Only the canary shows it.
func TestBackplane_replacesConnectionsByTheirReplies(t *testing.T) {
	message, pong := []byte("*3\r\n$7\r\nmessage\r\n"), []byte("*2\r\n$4\r\npong\r\n")
	for reason, change := range map[string]func([]byte) []byte{
		"canary": func(reply []byte) []byte {
			if bytes.HasPrefix(reply, message) {
				return nil
			}
			return reply
		},
		// An answer without a request: it is not known what the next one answers.
		"protocol": func(reply []byte) []byte {
			if bytes.HasPrefix(reply, pong) {
				return append(reply, reply...)
			}
			return reply
		},
	} {
		t.Run(reason, func(t *testing.T) {
			server := rtetest.MustStartRedis(t)
			proxy := mustChangeReplies(t, server.Addr)
			r := mustRig(t, server, 4)
			n := r.node(quick(proxy.address))
			r.publish([tiers]int{tier2: 100})
			r.waitDelivered(n, tier2, 5)
			proxy.change.Store(&change)
			waitFor(t, "the end of an epoch", func() bool {
				return n.value(t, "rte_backplane_epochs_total", reason) > 0
			})
			proxy.change.Store(nil)
			r.waitMore(n, tier2, 5)
			r.check(reason)
		})
	}
}
