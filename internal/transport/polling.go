package transport

import (
	"errors"
	"sync"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/transport/websocket"
)

// polling is the poller that waits for the bytes of idle connections. It starts with the first one on a plain socket.
// Any goroutine may use it.
type polling struct {
	once   sync.Once
	poller *websocket.Poller // nil: not started, or there can be none
}

// get returns the poller, and starts it if it does not run; nil: readers keep their goroutines.
func (p *polling) get(logger *zap.Logger) *websocket.Poller {
	p.once.Do(func() {
		var err error
		if p.poller, err = websocket.StartPoller(); err != nil && !errors.Is(err, errors.ErrUnsupported) {
			logger.Warn("idle connections keep their goroutines", zap.Error(err))
		}
	})
	return p.poller
}

// close ends the poller, and prevents that it starts. No connection may be read any more.
func (p *polling) close() {
	p.once.Do(func() {})
	p.poller.Close()
}

// readLater ends the goroutine of the reader, which must do nothing more, until there is something to read. It returns
// false if the goroutine has to wait by itself.
func (c *Conn) readLater() bool {
	in := c.in()
	return c.phase == phaseOpen && c.atBoundary() && in.Direct() && in.ReadLater(c.h.polling.get(c.h.log), c)
}

// ReadOn reads in a new goroutine, which the poller has started.
func (c *Conn) ReadOn() {
	c.grown = false
	c.read(nil)
}
