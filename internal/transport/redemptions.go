package transport

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/hub"
)

const (
	// redemptionDelay is how long a redemption waits for others, to share their message. Within it, and the time of the
	// message, two nodes can accept one token.
	redemptionDelay = 50 * time.Millisecond
	// maxRedemptions bounds the redemptions that wait; further ones are not sent, and counted.
	maxRedemptions = 4096
	// announceTime bounds sending a message.
	announceTime = 2 * time.Second
)

// redemption is the use of a connection token by a connection of a node.
type redemption struct {
	id connID
	at int64 // in microseconds of Unix time, by the clock of the node
}

// redemptionLen is the size of a redemption in a message.
const redemptionLen = len(connID{}) + 8

// redemptions sends which connection tokens this node has accepted to all other nodes: a token works once (1.3). A
// token that reaches a second node afterwards is refused there. If two nodes accept it at the same time, the older
// connection stays.
//
// Nodes do not ask Redis before they accept a token. That would cost each client a round trip in a storm of
// connections, and every client its connection while Redis is away. A message has 24 bytes for each connection; a node
// sends at most 20 messages per second.
type redemptions struct {
	announce func(ctx context.Context, message []byte) error // nil: there are no other nodes
	keys     atomic.Pointer[[][]byte]                        // the first seals messages, all open them; of SetSecrets
	running  sync.WaitGroup                                  // the goroutines that send

	mu      sync.Mutex   // guards the following fields
	waiting []redemption // at most maxRedemptions
	closed  bool
}

// redeemedAt returns the time of the redemption of a connection.
func (c *Conn) redeemedAt() int64 { return c.h.started.Add(c.since).UnixMicro() }

// redeemed records that a connection has used its token.
func (h *Handler) redeemed(c *Conn) {
	r := h.redemptions
	if r.announce == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
	case len(r.waiting) == maxRedemptions:
		h.metrics.redemptionsLost.Inc()
	default:
		r.waiting = append(r.waiting, redemption{c.id, c.redeemedAt()})
		if len(r.waiting) == 1 {
			r.running.Add(1)
			time.AfterFunc(redemptionDelay, h.announceRedemptions)
		}
	}
}

// announceRedemptions sends the waiting redemptions.
func (h *Handler) announceRedemptions() {
	r := h.redemptions
	defer r.running.Done()
	r.mu.Lock()
	list := r.waiting
	r.waiting = nil
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(h.invoking, announceTime)
	defer cancel()
	if err := r.announce(ctx, r.seal(h.tokens.node, list, time.Now())); err != nil {
		h.metrics.redemptionsLost.Add(float64(len(list)))
		h.log.Debug("redemptions not sent", zap.Int("connections", len(list)), zap.Error(err))
		return
	}
	h.metrics.redemptionsSent.Add(float64(len(list)))
}

// close refuses further redemptions and waits for those under way.
func (r *redemptions) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.running.Wait()
}

// seal encodes a message: a MAC, the time, the node and the redemptions.
func (r *redemptions) seal(node [nodeLen]byte, list []redemption, now time.Time) []byte {
	content := make([]byte, 0, 8+nodeLen+len(list)*redemptionLen)
	content = binary.BigEndian.AppendUint64(content, uint64(now.UnixMilli()))
	content = append(content, node[:]...)
	for i := range list {
		content = append(content, list[i].id[:]...)
		content = binary.BigEndian.AppendUint64(content, uint64(list[i].at)) //nolint:gosec // any bits will do
	}
	return append(messageMAC((*r.keys.Load())[0], content), content...)
}

// open checks and decodes a message. It refuses one that is older than maxMessageAge, which may be a copy.
func (r *redemptions) open(message []byte, now time.Time) (node [nodeLen]byte, list []redemption, err error) {
	if len(message) < sha256.Size+8+nodeLen || len(message) > maxMessageBytes || !authentic(message, *r.keys.Load()) {
		return node, nil, errors.New("redemptions: not authentic; do all nodes have the same secret?")
	}
	content := message[sha256.Size:]
	sent := time.UnixMilli(int64(binary.BigEndian.Uint64(content))) //nolint:gosec // it was made from one
	node, content = [nodeLen]byte(content[8:]), content[8+nodeLen:]
	if len(content)%redemptionLen != 0 || now.Sub(sent).Abs() > maxMessageAge {
		return node, nil, errors.New("redemptions: malformed or old")
	}
	for ; len(content) > 0; content = content[redemptionLen:] {
		at := binary.BigEndian.Uint64(content[len(connID{}):])
		list = append(list, redemption{connID(content), int64(at)}) //nolint:gosec // it was made from one
	}
	return node, list, nil
}

// HandleRedemptions handles a message that a node, possibly this one, passed to TokenOptions.Announce. It does not wait
// and keeps nothing of message. The error describes a message that is not valid.
func (h *Handler) HandleRedemptions(message []byte) error {
	now := time.Now()
	node, list, err := h.redemptions.open(message, now)
	if err != nil || node == h.tokens.node {
		return err
	}
	for _, c := range h.connections.spentElsewhere(list, node, h.tokens.node, now) {
		if c.endAsDuplicate() {
			h.metrics.duplicates.Inc()
			h.log.Warn("connection token used twice", zap.String("connection", c.ID()))
		}
	}
	return nil
}

// endAsDuplicate ends a connection whose token another node has accepted before. It reports whether the connection ends
// because of that.
func (c *Conn) endAsDuplicate() (first bool) {
	if c.opened.Load() {
		return c.session.Close(hub.CloseDuplicate)
	}
	first = c.endReason.CompareAndSwap(0, uint32(hub.CloseDuplicate)+1) // in its handshake
	if sock := c.socket(); sock != nil {
		sock.Abort()
	}
	return first
}
