package node

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/console"
)

const (
	// silentPause is how long a node that left a query without an answer is not waited for.
	silentPause = 5 * time.Second
	// queryTimeout bounds the wait for the answers of other nodes.
	queryTimeout = 2 * time.Second
	// maxQueries bounds the queries of this node without an answer, and those of others that it works on.
	maxQueries = 16
	// maxQueryBytes and maxAnswerBytes bound the messages.
	maxQueryBytes  = 256 << 10
	maxAnswerBytes = 4 << 20
	// maxQueryAge bounds the age of a message: the difference of two clocks and the time on the way.
	maxQueryAge = 30 * time.Second
)

// queries are the queries of operators between this node and the others, and the list of the others. Its methods may
// be called from any goroutine.
type nodeQueries struct {
	name    string                   // of this node
	keys    atomic.Pointer[[][]byte] // authenticate messages; this node makes its own with the first one
	control backplane.Control
	others  func() []string // the names of the other nodes
	answer  func(ctx context.Context, query []byte) []byte
	log     *zap.Logger
	working sync.WaitGroup
	streams *nodeStreams

	mu      sync.Mutex                // guards the following fields
	silent  map[string]time.Time      // when a node left a query without an answer
	waiting map[string]chan nodeReply // by the number of the query
	busy    int                       // queries of others that this node works on
	ctx     context.Context           // of Run; nil: it does not run
}

// nodeMessage is a query or an answer.
type nodeMessage struct {
	Kind   messageKind     `json:"kind"`
	Node   string          `json:"node"` // the sender
	Sent   time.Time       `json:"sent"`
	Number string          `json:"number,omitempty"`
	Body   json.RawMessage `json:"body,omitempty"`
}

type messageKind string

const (
	isQuery  messageKind = "query"
	isAnswer messageKind = "answer"
	// A stream has a request, batches, and an end. Each renewal of its lease repeats the request.
	isFollow   messageKind = "follow"
	isUnfollow messageKind = "unfollow"
	isBatch    messageKind = "batch"
)

// nodeReply is the answer of one node.
type nodeReply struct {
	node string
	body json.RawMessage
}

// nodeName returns a name that people recognize and no other node has.
func nodeName() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "node"
	}
	var unique [3]byte
	_, _ = rand.Read(unique[:]) // never fails: crypto/rand ends the process instead
	return host + "-" + hex.EncodeToString(unique[:])
}

// newNodeQueries makes the queries of a node. answer works on a query of another node, serve on a stream until ctx
// ends.
func newNodeQueries(
	name string, control backplane.Control, others func() []string,
	answer func(context.Context, []byte) []byte,
	serve func(ctx context.Context, request []byte, send func(context.Context, []byte) error), log *zap.Logger,
) *nodeQueries {
	q := &nodeQueries{
		name: name, control: control, others: others, answer: answer, log: log,
		silent: map[string]time.Time{}, waiting: map[string]chan nodeReply{},
	}
	q.streams = newNodeStreams(q, serve)
	return q
}

// setSecrets replaces the secret of the messages, and the further secrets that this node accepts. It ignores empty
// ones. The caller must call it before anything else.
func (q *nodeQueries) setSecrets(secret []byte, previous ...[]byte) error {
	var keys [][]byte
	for _, s := range append([][]byte{secret}, previous...) {
		if len(s) == 0 {
			continue
		}
		key, err := hkdf.Key(sha256.New, s, nil, "rte-server queries", sha256.Size)
		if err != nil {
			return err
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return errors.New("queries: no secret")
	}
	q.keys.Store(&keys)
	return nil
}

// subscribe subscribes the channels of the queries.
func (q *nodeQueries) subscribe(c *control) {
	c.subscribe(backplane.QueryChannel, "query", q.receive, nil)
	c.subscribe(backplane.AnswerChannel(q.name), "answer", q.receive, nil)
}

// run lets this node answer until ctx ends and the answers under way are sent.
func (q *nodeQueries) run(ctx context.Context) error {
	q.mu.Lock()
	q.ctx = ctx
	q.mu.Unlock()
	<-ctx.Done()
	q.mu.Lock()
	q.ctx = nil
	q.mu.Unlock()
	q.working.Wait()
	q.streams.serving.Wait()
	return nil
}

// seal encodes a message of this node: a MAC and the JSON.
func (q *nodeQueries) seal(m *nodeMessage) []byte {
	m.Node, m.Sent = q.name, time.Now()
	text, err := json.Marshal(m)
	if err != nil { // the body is not JSON, which is a mistake in this program
		m.Body = json.RawMessage(`{"error":"the answer cannot be encoded"}`)
		text, _ = json.Marshal(m)
	}
	return append(messageMAC((*q.keys.Load())[0], text), text...)
}

func messageMAC(key, text []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(text)
	return mac.Sum(nil)
}

// authentic reports whether a node with one of the secrets made a message.
func (q *nodeQueries) authentic(message []byte) bool {
	return slices.ContainsFunc(*q.keys.Load(), func(key []byte) bool {
		return hmac.Equal(message[:sha256.Size], messageMAC(key, message[sha256.Size:]))
	})
}

// open checks and decodes a message.
func (q *nodeQueries) open(message []byte) (*nodeMessage, error) {
	if len(message) < sha256.Size || len(message) > maxAnswerBytes+maxQueryBytes || !q.authentic(message) {
		return nil, errors.New("query: not authentic; do all nodes have the same secret?")
	}
	var m nodeMessage
	if err := json.Unmarshal(message[sha256.Size:], &m); err != nil || time.Since(m.Sent).Abs() > maxQueryAge {
		return nil, errors.New("query: malformed or old")
	}
	return &m, nil
}

// receive takes a message. It does not wait.
func (q *nodeQueries) receive(message []byte) error {
	m, err := q.open(message)
	if err != nil || m.Node == q.name {
		return err
	}
	switch m.Kind {
	case isAnswer:
		q.answered(m)
	case isQuery:
		q.work(m)
	case isBatch:
		q.streams.arrived(m)
	case isUnfollow:
		q.streams.unfollowed(m)
	case isFollow:
		q.mu.Lock()
		defer q.mu.Unlock()
		if q.ctx != nil && len(m.Body) <= maxQueryBytes {
			q.streams.requested(q.ctx, m)
		}
	}
	return nil
}

// work answers a query in a goroutine of its own. Beyond the bound the query gets no answer.
func (q *nodeQueries) work(m *nodeMessage) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ctx == nil || q.busy >= maxQueries || len(m.Body) > maxQueryBytes {
		return
	}
	q.busy++
	ctx := q.ctx
	q.working.Go(func() {
		defer q.done()
		ctx, cancel := context.WithTimeout(ctx, queryTimeout)
		defer cancel()
		body := q.answer(ctx, m.Body)
		if len(body) > maxAnswerBytes {
			body = []byte(`{"error":"the answer is too large; ask for less"}`)
		}
		answer := q.seal(&nodeMessage{Kind: isAnswer, Number: m.Number, Body: body})
		if err := q.control.Send(ctx, backplane.AnswerChannel(m.Node), answer); err != nil {
			q.log.Warn("query of another node not answered", zap.Error(err))
		}
	})
}

func (q *nodeQueries) done() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.busy--
}

// answered hands an answer to the query that waits for it.
func (q *nodeQueries) answered(m *nodeMessage) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if waiting := q.waiting[m.Number]; waiting != nil {
		select {
		case waiting <- nodeReply{m.Node, m.Body}:
		default: // more answers than nodes
		}
	}
}

// worthwhile returns the nodes that are worth the wait for an answer.
func (q *nodeQueries) worthwhile(nodes []string) map[string]bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := map[string]bool{}
	for _, name := range nodes {
		if time.Since(q.silent[name]) > silentPause {
			all[name] = true
		}
	}
	return all
}

// note remembers which nodes have left a query without an answer.
func (q *nodeQueries) note(replies *console.Replies, worthwhile map[string]bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	maps.DeleteFunc(q.silent, func(_ string, at time.Time) bool { return time.Since(at) > silentPause })
	for name := range replies.Answers {
		delete(q.silent, name)
	}
	for name := range worthwhile { // the others were not waited for
		q.silent[name] = time.Now()
	}
}

// request sends a query to all other nodes and waits for their answers.
func (q *nodeQueries) request(ctx context.Context, query []byte) (replies console.Replies) {
	nodes := q.others()
	worthwhile := q.worthwhile(nodes)
	replies = console.Replies{Answers: map[string]json.RawMessage{}, Silent: slices.Clone(nodes)}
	if len(nodes) == 0 {
		return replies
	}
	number, answers := rand.Text(), make(chan nodeReply, len(nodes))
	q.mu.Lock()
	room := len(q.waiting) < maxQueries
	if room {
		q.waiting[number] = answers
	}
	q.mu.Unlock()
	if !room {
		return replies
	}
	defer func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		delete(q.waiting, number)
	}()
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	message := q.seal(&nodeMessage{Kind: isQuery, Number: number, Body: query})
	if err := q.control.Send(ctx, backplane.QueryChannel, message); err != nil {
		q.log.Warn("other nodes not asked", zap.Error(err))
		return replies
	}
	defer func() { q.note(&replies, worthwhile) }()
	for len(worthwhile) > 0 {
		select {
		case reply := <-answers:
			delete(worthwhile, reply.node)
			replies.Answers[reply.node] = reply.body
			replies.Silent = slices.DeleteFunc(replies.Silent, func(name string) bool { return name == reply.node })
		case <-ctx.Done():
			return replies
		}
	}
	return replies
}
