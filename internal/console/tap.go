package console

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/events"
)

// TapFilter is the filter of a tap in its first frame.
type TapFilter struct {
	Organization string   `json:"organization,omitempty"`
	Entity       string   `json:"entity,omitempty"`
	Events       []string `json:"events,omitempty"` // none: all
	Connection   string   `json:"connection,omitempty"`
	User         string   `json:"user,omitempty"`
	Sample       float64  `json:"sample"`
	Data         string   `json:"data"`  // masked, none or full
	Nodes        string   `json:"nodes"` // all or this
}

// TapHello is the first frame of a tap.
type TapHello struct {
	Node   string    `json:"node"`  // answering node
	Nodes  []string  `json:"nodes"` // nodes whose events it shows
	Filter TapFilter `json:"filter"`
	// Masked are the properties with masked values. Properties that are not in the catalog are masked, too.
	Masked []string `json:"masked"`
	// EventsPerSecond bounds the events that one node passes on, Bytes the text that waits for the reader.
	EventsPerSecond int `json:"eventsPerSecond"`
	Bytes           int `json:"bytes"`
}

// tapPath is the path of taps. Their answers have no end.
const tapPath = "/api/tap"

// tapMetrics counts the events that streams leave out.
type tapMetrics struct {
	dropped *prometheus.CounterVec
}

func newTapMetrics(reg prometheus.Registerer) *tapMetrics {
	m := &tapMetrics{promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
		Name: "rte_console_tap_dropped_total",
		Help: "Events that a tap of this node left out: its reader did not keep up, or they were lost between two nodes.",
	}, []string{"reason"})}
	for _, reason := range []string{droppedReader, droppedLost} {
		m.dropped.WithLabelValues(reason)
	}
	return m
}

// drop counts events. Package tap counts the other reasons.
func (m *tapMetrics) drop(reason string, count uint64) {
	if reason == droppedReader || reason == droppedLost {
		m.dropped.WithLabelValues(reason).Add(float64(count))
	}
}

// tap streams events to an operator: GET /api/tap.
func (o *Operator) tap(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	f, err := o.parseTap(query)
	if err != nil {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return
	}
	limits := o.taps.Limits()
	if o.taps.Full() {
		writeJSON(w, http.StatusServiceUnavailable, map[string]string{"error": "tap: too many; see tap.max"})
		return
	}
	hello := TapHello{
		Node: o.node, Nodes: []string{o.node}, Filter: f.describe(), Masked: []string{},
		EventsPerSecond: limits.Rate, Bytes: limits.Bytes,
	}
	if f.data == dataMasked {
		hello.Masked = o.catalog.Personal(f.Types...)
	}
	if f.everywhere {
		for _, node := range o.drainer.Nodes()[1:] {
			hello.Nodes = append(hello.Nodes, node.ID)
		}
	}
	about := []zap.Field{
		zap.String("who", string(roleIn(r.Context()))), zap.String("remote", r.RemoteAddr), zap.Any("filter", hello.Filter),
	}
	if !o.streams.begin() {
		writeJSON(w, http.StatusServiceUnavailable, map[string]string{"error": "tap: the node stops"})
		return
	}
	defer o.streams.done()
	o.audit.Info("tap began", about...)
	defer o.audit.Info("tap ended", about...)
	o.stream(w, r, &f, &hello)
}

// stream runs a tap until its reader has gone.
func (o *Operator) stream(w http.ResponseWriter, r *http.Request, f *tapFilter, hello *TapHello) {
	ctx, cancel := context.WithCancel(r.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	defer context.AfterFunc(o.streams.ctx, cancel)()
	s := newTapStream(o.taps.Limits().Bytes, o.tapMetrics)
	request := requestOf(r.URL.Query())
	running.Go(func() {
		err := o.feed(ctx, f, func(b *tapBatch) bool {
			s.take(o.node, b)
			return true
		})
		if err != nil {
			s.take(o.node, &tapBatch{Problem: err.Error()})
		}
	})
	if f.everywhere {
		running.Go(func() {
			o.others.Follow(ctx, request, func(node string, text []byte) {
				var b tapBatch
				if err := json.Unmarshal(text, &b); err != nil {
					b = tapBatch{Problem: "answered something else"}
				}
				s.take(node, &b)
			})
		})
	}
	running.Go(func() { o.hold(ctx, f) })
	s.send(w, ctx.Done(), hello)
}

// requestOf returns the parameters that other nodes get.
func requestOf(query url.Values) []byte {
	query.Del("nodes")
	return []byte(query.Encode())
}

// hold lets the events of an organization come to this node although it may have no subscriber, until ctx ends. Without
// an entity this works for organizations with one lane.
func (o *Operator) hold(ctx context.Context, f *tapFilter) {
	if f.Organization == (events.ID{}) {
		return
	}
	topics := []events.Topic{{Organization: f.Organization, Entity: f.Entity}}
	for _, err := range o.lanes.Acquire(ctx, topics) {
		if err != nil {
			return // the stream shows the events for other subscribers
		}
	}
	<-ctx.Done()
	o.lanes.Release(topics)
}
