package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/rte-server/rte-server/internal/wakeup"
)

const (
	// tapKeepAlive is the time between two comments of a stream, so that proxies keep it.
	tapKeepAlive = 15 * time.Second
	// tapWrite bounds one write. A reader that takes no bytes for so long counts as gone.
	tapWrite = 10 * time.Second
	// tapSilence is the time after which a silent node counts as lost.
	tapLost = 5 * time.Second
	// maxTapNodes bounds the nodes in a stream.
	maxTapNodes = 1000
)

// TapNode reports that a node joined a tap or was lost.
type TapNode struct {
	Node   string `json:"node"`
	State  string `json:"state"` // joined, lost or refused
	Detail string `json:"detail,omitempty"`
}

// The states of a TapNode.
const (
	nodeJoined  = "joined"
	nodeLost    = "lost"
	nodeRefused = "refused"
)

// The further reasons of TapDropped, beside the reasons of package tap.
const (
	droppedReader = "reader" // the reader of the stream did not keep up
	droppedLost   = "lost"   // between the nodes
)

// tapSource is a node as a stream knows it.
type tapSource struct {
	state  string
	latest time.Time // of its batches
	passed uint64    // events in its batches
}

// tapStream merges the batches of all nodes into Server-Sent Events.
type tapStream struct {
	bytes   int // bound of the waiting text
	metrics *tapMetrics
	waiting wakeup.Signal

	mu      sync.Mutex // guards the following fields
	text    bytes.Buffer
	sources map[string]*tapSource
	dropped map[TapDropped]uint64 // Count is zero in the key
}

func newTapStream(bytes int, metrics *tapMetrics) *tapStream {
	return &tapStream{
		bytes: bytes, metrics: metrics, waiting: wakeup.New(),
		sources: map[string]*tapSource{}, dropped: map[TapDropped]uint64{},
	}
}

// take adds the batch of a node. It does not wait.
func (s *tapStream) take(node string, b *tapBatch) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.waiting.Set()
	source := s.sources[node]
	if source == nil {
		if len(s.sources) >= maxTapNodes {
			return
		}
		source = &tapSource{}
		s.sources[node] = source
	}
	source.latest = now
	if b.Problem != "" {
		s.changeLocked(node, source, nodeRefused, b.Problem)
		return
	}
	if source.state != nodeJoined || b.Before < source.passed { // a tap that began again counts from zero
		source.passed = b.Before
	}
	s.changeLocked(node, source, nodeJoined, "")
	if missing := b.Before - source.passed; missing > 0 {
		s.dropLocked(node, droppedLost, missing, now)
	}
	source.passed = b.Before + uint64(len(b.Events))
	for i := range b.Dropped {
		d := &b.Dropped[i]
		s.dropLocked(node, d.Reason, d.Count, d.Since)
	}
	for i := range b.Events {
		b.Events[i].Node = node
		if s.text.Len() >= s.bytes {
			s.dropLocked(node, droppedReader, uint64(len(b.Events[i:])), now)
			return
		}
		writeFrame(&s.text, "event", &b.Events[i])
	}
}

// changeLocked reports a new state of a node.
func (s *tapStream) changeLocked(node string, source *tapSource, state, detail string) {
	if source.state != state {
		source.state = state
		writeFrame(&s.text, "node", TapNode{node, state, detail})
	}
}

// dropLocked counts dropped events. The next frames report them.
func (s *tapStream) dropLocked(node, reason string, count uint64, since time.Time) {
	s.metrics.drop(reason, count)
	for key := range s.dropped {
		if key.Node == node && key.Reason == reason {
			s.dropped[key] += count
			return
		}
	}
	s.dropped[TapDropped{Node: node, Reason: reason, Since: since}] = count
}

// look reports the nodes that have been silent for too long.
func (s *tapStream) look(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, node := range slices.Sorted(maps.Keys(s.sources)) {
		if source := s.sources[node]; source.state == nodeJoined && now.Sub(source.latest) > tapLost {
			s.changeLocked(node, source, nodeLost, "passes nothing on; it stopped, or Redis is away")
		}
	}
	s.waiting.Set()
}

// flush moves the waiting text to out, with the numbers of dropped events.
func (s *tapStream) flush(out *bytes.Buffer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = s.text.WriteTo(out) // a buffer takes everything
	if s.text.Cap() > s.bytes {
		s.text = bytes.Buffer{}
	}
	for d, count := range s.dropped {
		d.Count = count
		writeFrame(out, "dropped", d)
	}
	clear(s.dropped)
}

// writeFrame appends a Server-Sent Event.
func writeFrame(out *bytes.Buffer, event string, data any) {
	text, err := json.Marshal(data)
	if err != nil { // its parts are checked
		return
	}
	fmt.Fprintf(out, "event: %s\ndata: %s\n\n", event, text)
}

// send writes the stream to an operator until done closes or a write fails.
func (s *tapStream) send(w http.ResponseWriter, done <-chan struct{}, hello *TapHello) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{}) // the deadline of the request would end the stream
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store, no-transform")
	w.Header().Set("X-Accel-Buffering", "no") // nginx passes the stream on at once
	w.WriteHeader(http.StatusOK)
	var out bytes.Buffer
	writeFrame(&out, "hello", hello)
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for wrote := time.Now(); ; {
		if out.Len() > 0 {
			_ = control.SetWriteDeadline(time.Now().Add(tapWrite)) // the recorder of a test has none
			if _, err := w.Write(out.Bytes()); err != nil || control.Flush() != nil {
				return
			}
			out.Reset()
			wrote = time.Now()
		}
		select {
		case <-s.waiting.C():
			s.flush(&out)
		case now := <-ticker.C:
			s.look(now)
			if now.Sub(wrote) >= tapKeepAlive {
				out.WriteString(": keep-alive\n\n")
			}
		case <-done:
			return
		}
	}
}
