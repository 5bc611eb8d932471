package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/transport/websocket"
)

// Options configure a Relay.
type Options struct {
	// All nodes share Secret. They also accept PreviousSecrets, for a rotation. Secret is required.
	Secret          []byte
	PreviousSecrets [][]byte
	// Peers returns the addresses of the other nodes' relay ports, as host:port. Required. It must not wait.
	Peers func() []string
	// Connections bounds the sockets and requests that this node passes on to others at a time, and the connections of
	// other nodes that wait for a request or its answer. 0: 10,000.
	Connections int
	// HeaderBytes bounds the head of a request that another node passes on. 0: 64 KiB.
	HeaderBytes int
	// Send is how long a client may take for a piece of its bytes. 0: 10 s.
	Send time.Duration
	// Close is how long a client may take to end its socket after the owner has ended it. 0: 5 s.
	Close time.Duration
	// Answer bounds the wait for the answers of the other nodes to a search, and that for the owner's answer to an
	// upgrade. 0: 900 ms. A client needs its 404 within a second if its owner is gone: then the search has no result.
	Answer time.Duration
	// Head is how long an owner that took a request may need for the head of its answer, except for an upgrade. It must be
	// longer than the longest request of LongPolling. 0: 2 minutes.
	Head time.Duration
	// Crowd is how long a request waits for its turn while many are under way: a load balancer that reloads makes all
	// clients return at once. Without its turn the client gets 404 and makes a new connection, which takes more of all
	// nodes. 0: 5 s.
	Crowd time.Duration
	// Logger gets the errors of the server for other nodes. nil: nothing is logged.
	Logger *zap.Logger
	// Registerer gets the metrics. nil: they are not registered.
	Registerer prometheus.Registerer
}

const (
	// maxFinds bounds the requests for owners under way, maxUpgrades the upgrades whose owner has not answered. Further
	// ones wait for Options.Crowd. More at once would not be faster: each needs a connection, and its handshake takes most
	// of the time.
	maxFinds    = 16
	maxUpgrades = 8
	// awayTime is how long this node leaves out an unreachable node: one that failed to answer for as long. A failure
	// counts for doubtTime.
	awayTime  = time.Second
	doubtTime = 10 * time.Second
	// maxAnswerHead bounds the head of another node's answer.
	maxAnswerHead = 64 << 10
	// idleTime is how long an idle connection to another node stays open, idlePerNode the number of such connections.
	idleTime    = 30 * time.Second
	idlePerNode = maxFinds
)

// The errors of Upgrade and Forward. After them the request has no answer yet.
var (
	// ErrFull: this node passes on as many requests as it may.
	ErrFull = errors.New("relay: this node passes on as many requests as it may")
	// ErrOwner: the owner cannot be reached, is stopping, or cannot take the client.
	ErrOwner = errors.New("relay: the owner does not take the request")
	// ErrMoved: Move has ended the request before the owner answered. The client should send it again.
	ErrMoved = errors.New("relay: this node ended the request, so that it reaches another node")
)

// State is the state of a connection on a node.
type State uint8

// The states.
const (
	// Unknown: it never had the connection.
	Unknown State = iota
	// Here: it has the connection.
	Here
	// Ended: it had the connection lately.
	Ended
)

// Relay is the way between this node and the others. Any goroutine may use it.
type Relay struct {
	options  Options
	metrics  *metrics
	identity atomic.Pointer[identity]
	requests *http.Transport
	buffers  websocket.ReadBuffers
	bulk     *bulkBuffers
	finding  turns // of requests for an owner
	opening  turns // of upgrades whose owner has not answered
	running  sync.WaitGroup

	mu     sync.Mutex           // guards the following fields
	doubts map[string]time.Time // first failure to reach a node since its last answer
	away   map[string]time.Time // when a node became unreachable
	places map[*place]struct{}  // of the sockets and requests that are passed on
	pipes  int
	closed bool
}

// New returns a Relay and starts nothing. The error names the wrong option.
func New(o Options) (*Relay, error) {
	if o.Peers == nil {
		return nil, errors.New("relay: Options.Peers is required")
	}
	setDefault(&o.Connections, 10_000)
	setDefault(&o.HeaderBytes, 64<<10)
	setDefault(&o.Send, 10*time.Second)
	setDefault(&o.Close, 5*time.Second)
	setDefault(&o.Answer, 900*time.Millisecond)
	setDefault(&o.Head, 2*time.Minute)
	setDefault(&o.Crowd, 5*time.Second)
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	r := &Relay{
		options: o, metrics: newMetrics(o.Registerer, o.Connections), finding: make(turns, maxFinds),
		opening: make(turns, maxUpgrades), away: map[string]time.Time{}, doubts: map[string]time.Time{},
		places: map[*place]struct{}{},
	}
	r.bulk = newBulkBuffers(r.metrics.bufferBytes)
	r.requests = &http.Transport{
		DialTLSContext: func(ctx context.Context, _, address string) (net.Conn, error) { return r.dial(ctx, address) },
		MaxIdleConns:   4 * maxFinds, MaxIdleConnsPerHost: idlePerNode, IdleConnTimeout: idleTime,
		ResponseHeaderTimeout: o.Head, DisableCompression: true, MaxResponseHeaderBytes: maxAnswerHead,
	}
	return r, r.SetSecrets(o.Secret, o.PreviousSecrets...)
}

func setDefault[T comparable](value *T, byDefault T) {
	var zero T
	if *value == zero {
		*value = byDefault
	}
}

// Crowd returns Options.Crowd.
func (r *Relay) Crowd() time.Duration { return r.options.Crowd }

// SetSecrets replaces the secrets. Open connections stay.
func (r *Relay) SetSecrets(secret []byte, previous ...[]byte) error {
	id, err := newIdentity(secret, previous)
	if err != nil {
		return err
	}
	r.identity.Store(id)
	r.requests.CloseIdleConnections()
	return nil
}

// dial connects to another node, within the time of ctx and Options.Answer.
func (r *Relay) dial(ctx context.Context, address string) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, r.options.Answer) // net/http gives it a context of its own
	defer cancel()
	dialer := net.Dialer{KeepAliveConfig: keepAlive, Control: boundSocket}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err == nil {
		secured := tls.Client(conn, r.identity.Load().client)
		if err = secured.HandshakeContext(ctx); err == nil {
			r.answered(address)
			return secured, nil
		}
		_ = conn.Close() // unusable
	}
	r.failed(ctx, address)
	return nil, err
}

// answered records that a node is reachable.
func (r *Relay) answered(address string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.doubts, address)
	delete(r.away, address)
}

// failed records that a node did not answer. A busy node may refuse one of many connections, or be late with one: it
// stays reachable while it answers others.
func (r *Relay) failed(ctx context.Context, address string) {
	if errors.Is(ctx.Err(), context.Canceled) {
		return // the request is over
	}
	r.metrics.unreachable.Inc()
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	first, doubted := r.doubts[address]
	switch {
	case !doubted:
		r.doubts[address] = now
	case now.Sub(first) >= awayTime:
		r.away[address] = now
	}
}

// turns has an element for each of a limited number of requests that are under way.
type turns chan struct{}

// take waits for a turn, for a limited time and until ctx ends. It reports whether the caller has one, and must call
// leave.
func (t turns) take(ctx context.Context, limit time.Duration) bool {
	select {
	case t <- struct{}{}:
		return true
	default:
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case t <- struct{}{}:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

func (t turns) leave() { <-t }

// reachable returns the other nodes without the nodes that were unreachable a moment ago.
func (r *Relay) reachable() (addresses []string) {
	all, now := r.options.Peers(), time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.away, func(_ string, at time.Time) bool { return now.Sub(at) > awayTime })
	maps.DeleteFunc(r.doubts, func(_ string, at time.Time) bool { return now.Sub(at) > doubtTime })
	for _, address := range all {
		if _, away := r.away[address]; !away {
			addresses = append(addresses, address)
		}
	}
	return addresses
}

// findHeader has the id of the connection in a request for its owner, clientHeader the address of the client in a
// request that is passed on.
const (
	findHeader   = "Rte-Find"
	clientHeader = "Rte-Client"
)

// states are the answers to a request for an owner.
var states = map[State]int{Unknown: http.StatusNotFound, Here: http.StatusNoContent, Ended: http.StatusGone}

// Find requests the owner of a connection from all other nodes and returns its address. ok is false if none has the
// connection, or did not answer in time. It takes a round trip to the owner, or to all nodes if there is no owner.
func (r *Relay) Find(ctx context.Context, id string) (address string, ok bool) {
	if !isName(id) {
		r.metrics.finds[findUnknown].Inc()
		return "", false
	}
	addresses := r.reachable()
	if len(addresses) == 0 {
		return "", false
	}
	if !r.finding.take(ctx, r.options.Crowd) {
		r.metrics.finds[findCrowded].Inc()
		return "", false
	}
	defer r.finding.leave()
	ctx, cancel := context.WithTimeout(ctx, r.options.Answer)
	defer cancel()
	began := time.Now()
	defer func() { r.metrics.findSeconds.Observe(time.Since(began).Seconds()) }()
	type answer struct {
		address string
		state   State
	}
	answers := make(chan answer, len(addresses))
	if !r.begin(len(addresses)) {
		return "", false
	}
	for _, address := range addresses {
		go func() {
			defer r.running.Done()
			answers <- answer{address, r.query(ctx, address, id)}
		}()
	}
	for range addresses {
		switch a := <-answers; a.state {
		case Here:
			r.metrics.finds[findFound].Inc()
			return a.address, true
		case Ended:
			r.metrics.finds[findEnded].Inc()
			return "", false
		}
	}
	r.metrics.finds[findUnknown].Inc()
	return "", false
}

// maxName bounds the name of a connection: one small request of a client must not become large ones to all nodes.
const maxName = 256

// isName reports whether a header can carry the name of a connection. net/http would refuse a request with another one,
// and each node would then count as unreachable, for all clients.
func isName(id string) bool {
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return false
		}
	}
	return len(id) <= maxName
}

// begin counts goroutines that Close waits for. It returns false after Close.
func (r *Relay) begin(goroutines int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.running.Add(goroutines)
	return true
}

// query requests the state of a connection from a node. A node that does not answer counts as one without it.
func (r *Relay) query(ctx context.Context, address, id string) State {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+"/", http.NoBody)
	if err != nil {
		return Unknown
	}
	request.Header.Set(findHeader, id)
	response, err := r.requests.RoundTrip(request)
	if err != nil {
		r.failed(ctx, address)
		return Unknown
	}
	r.answered(address)
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<10)) // so that the connection can be used again
	_ = response.Body.Close()                                        // the rest is not needed
	for state, status := range states {
		if response.StatusCode == status {
			return state
		}
	}
	return Unknown
}

// place is the place of a socket or a request that is passed on.
type place struct {
	// Guarded by Relay.mu.
	end   func() // ends it; nil: it has not begun
	short bool   // it ends soon by itself
}

// reserve takes a place; nil: there is none. The caller must release it.
func (r *Relay) reserve() *place {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || len(r.places) >= r.options.Connections {
		return nil
	}
	p := &place{}
	r.places[p] = struct{}{}
	r.metrics.passed.Set(float64(len(r.places)))
	return p
}

func (r *Relay) release(p *place) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.places, p)
	r.metrics.passed.Set(float64(len(r.places)))
}

// occupy lets Close end the request of a place, and Move unless it is short. It returns false after Close.
func (r *Relay) occupy(p *place, end func(), short bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	p.end, p.short = end, short
	return !r.closed
}

// Sockets returns the number of clients' sockets whose connections are on other nodes.
func (r *Relay) Sockets() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pipes
}

// ends returns the functions that end the sockets and requests that are passed on, with or without short ones.
func (r *Relay) ends(short bool) (all []func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for p := range r.places {
		if p.end != nil && (short || !p.short) {
			all = append(all, p.end)
		}
	}
	return all
}

// Move ends the sockets and waiting requests of clients whose connections are on other nodes, evenly over a time. The
// clients continue through other nodes. It leaves a POST alone: a client cannot know whether the owner has its bytes,
// and gives the connection up. It returns early when ctx ends.
func (r *Relay) Move(ctx context.Context, over time.Duration) {
	all := r.ends(false)
	if len(all) == 0 {
		return
	}
	ticker := time.NewTicker(max(over/time.Duration(len(all)), time.Microsecond))
	defer ticker.Stop()
	for _, end := range all {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		end()
	}
}

// Close ends all sockets and requests that are passed on, and refuses further ones. It waits for the goroutines of
// sockets. A Server needs a Close of its own.
func (r *Relay) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	for _, end := range r.ends(true) {
		end()
	}
	r.running.Wait()
	r.requests.CloseIdleConnections()
}
