package loadgen

import (
	"sync"
	"sync/atomic"
	"time"
)

// progress counts the connected clients and the events of a load.
type progress struct {
	connected, published atomic.Int64

	mu      sync.Mutex
	clients []*client // guarded by mu
}

// add adds a subscribed client.
func (p *progress) add(c *client) {
	p.connected.Add(1)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clients = append(p.clients, c)
}

// now returns the progress.
func (p *progress) now() Progress {
	p.mu.Lock()
	defer p.mu.Unlock()
	delivered := 0
	for _, c := range p.clients {
		delivered += int(c.delivered.Load())
	}
	return Progress{int(p.connected.Load()), int(p.published.Load()), delivered}
}

// watch calls Load.Progress each second, until a call of the returned function. That call waits for the end.
func (l *Load) watch(p *progress) (stop func()) {
	if l.Progress == nil {
		return func() {}
	}
	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				l.Progress(p.now())
			case <-done:
				return
			}
		}
	})
	return func() {
		close(done)
		running.Wait()
	}
}
