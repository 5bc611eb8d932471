package console

import (
	"context"
	"net/url"
	"time"
)

// NodeOverview is the state of one node at a glance.
type NodeOverview struct {
	Node     string    `json:"node"`
	Version  string    `json:"version"`
	Go       string    `json:"go"`
	Started  time.Time `json:"started"`
	State    string    `json:"state"`    // as in /readyz
	Problems []Problem `json:"problems"` // failing checks
	Redis    RedisView `json:"redis"`
	// Departure is the drain or the shed under way, if there is one, and the number of connections left.
	Departure Departure `json:"departure"`

	Connections      int `json:"connections"` // sockets, also before the handshake
	ConnectionsLimit int `json:"connectionsLimit"`
	Sessions         int `json:"sessions"`
	Subscriptions    int `json:"subscriptions"`
	FullSockets      int `json:"fullSockets"`  // clients that do not keep up now
	WaitingBytes     int `json:"waitingBytes"` // for them
	Quarantined      int `json:"quarantined"`  // messages
	Taps             int `json:"taps"`

	MemoryBytes      int `json:"memoryBytes"`      // of the Go runtime
	MemoryLimitBytes int `json:"memoryLimitBytes"` // 0: none
	ResidentBytes    int `json:"residentBytes"`    // of the process
	Descriptors      int `json:"descriptors"`
	DescriptorsLimit int `json:"descriptorsLimit"`

	// RateSeconds is the time of the following means: since the previous request, or since the start.
	RateSeconds         float64 `json:"rateSeconds"`
	EventsPerSecond     float64 `json:"eventsPerSecond"`     // received from Redis
	MatchedPerSecond    float64 `json:"matchedPerSecond"`    // of them with a subscriber on this node
	DeliveriesPerSecond float64 `json:"deliveriesPerSecond"` // to sockets
	BytesPerSecond      float64 `json:"bytesPerSecond"`      // written to sockets
	Processors          float64 `json:"processors"`          // used; 1 is one whole processor
	// AgeP50MS and AgeP99MS are the age of events when they were written; null: no event was written, or above a minute.
	AgeP50MS *float64 `json:"ageP50Ms"`
	AgeP99MS *float64 `json:"ageP99Ms"`
	// DelayP50MS and DelayP99MS are the same from the arrival at this node.
	DelayP50MS *float64 `json:"delayP50Ms"`
	DelayP99MS *float64 `json:"delayP99Ms"`

	// Totals count since the start of the node. A client that polls computes the differences.
	Totals NodeTotals `json:"totals"`
}

// RedisView is the state of Redis as a node sees it.
type RedisView struct {
	Used      bool   `json:"used"` // false: the node works without Redis
	Connected bool   `json:"connected"`
	Detail    string `json:"detail,omitempty"`
}

// NodeTotals count since the start of a node.
type NodeTotals struct {
	Events     int `json:"events"`
	Matched    int `json:"matched"`
	Deliveries int `json:"deliveries"`
	Losses     int `json:"losses"`    // reports that events of a lane are, or may be, missing
	Refused    int `json:"refused"`   // messages of publishers
	Dropped    int `json:"dropped"`   // frames that a subscriber did not get
	Conflated  int `json:"conflated"` // of them replaced by a newer state
	Expired    int `json:"expired"`   // events that came too late
	Slow       int `json:"slow"`      // connections that ended because the client did not keep up
}

// Overview is the answer of /api/overview.
type Overview struct {
	At    time.Time      `json:"at"`
	Nodes []NodeOverview `json:"nodes"` // this node first
	// Known are the nodes that this node knows of, also without an answer.
	Known []PeerNode `json:"known"`
	Reached
}

// overview shows the state of this node or of all nodes.
func (o *Operator) overview(ctx context.Context, query url.Values) (any, error) {
	if err := onlyKeys(query, "nodes"); err != nil {
		return nil, err
	}
	all, err := ofAllNodes(query)
	if err != nil {
		return nil, err
	}
	answer := Overview{At: time.Now().UTC(), Nodes: []NodeOverview{}, Known: o.drainer.Nodes()}
	if !all {
		answer.Nodes = append(answer.Nodes, o.nodeOverview())
		answer.Answered, answer.Unanswered = []string{o.node}, []NodeProblem{}
		return answer, nil
	}
	answer.Reached, err = queryNodes(ctx, o, "overview", query, nil, func(_ string, node NodeOverview) {
		answer.Nodes = append(answer.Nodes, node)
	})
	return answer, err
}

// overviewHere shows the state of this node to another one.
func (o *Operator) overviewHere(context.Context, url.Values, []byte) (any, error) {
	return o.nodeOverview(), nil
}

// nodeOverview describes this node.
func (o *Operator) nodeOverview() NodeOverview {
	before, now := o.figures.look()
	report := o.readiness.Report()
	seconds := now.at.Sub(before.at).Seconds()
	count := func(name, label string) int { return int(now.sum(name, label)) }
	rate := func(name, label string) float64 {
		if seconds <= 0 {
			return 0
		}
		return max(now.sum(name, label)-before.sum(name, label), 0) / seconds
	}
	milliseconds := func(name string, q float64) *float64 {
		at := now.quantile(before, name, q)
		if at != nil {
			*at *= 1000
		}
		return at
	}
	n := NodeOverview{
		Node: o.node, Version: now.label("rte_build_info", "version"), Go: now.label("rte_build_info", "go"),
		Started: o.figures.started.UTC(), State: report.State, Problems: report.Degraded, Redis: o.redis(),
		Departure:   o.drainer.Departure(),
		Connections: count("rte_transport_connections", ""), ConnectionsLimit: count("rte_transport_connections_limit", ""),
		Sessions: o.hub.Sessions().Len(), Subscriptions: count("rte_hub_subscriptions_active", ""),
		FullSockets: count("rte_fanout_outboxes_full", ""), WaitingBytes: count("rte_fanout_outbox_waiting_bytes", ""),
		Quarantined: count("rte_events_quarantine_length", ""), Taps: o.taps.Len(),
		MemoryBytes: count("rte_memory_used_bytes", ""), MemoryLimitBytes: count("rte_memory_limit_bytes", ""),
		ResidentBytes: count("process_resident_memory_bytes", ""),
		Descriptors:   count("process_open_fds", ""), DescriptorsLimit: count("process_max_fds", ""),
		RateSeconds: seconds, EventsPerSecond: rate("rte_backplane_received_total", ""),
		MatchedPerSecond:    rate("rte_fanout_events_total", "heard"),
		DeliveriesPerSecond: rate("rte_fanout_deliveries_total", ""),
		BytesPerSecond:      rate("rte_fanout_written_bytes_total", ""), Processors: rate("process_cpu_seconds_total", ""),
		AgeP50MS:   milliseconds("rte_fanout_event_age_seconds", 0.5),
		AgeP99MS:   milliseconds("rte_fanout_event_age_seconds", 0.99),
		DelayP50MS: milliseconds("rte_fanout_event_delay_seconds", 0.5),
		DelayP99MS: milliseconds("rte_fanout_event_delay_seconds", 0.99),
		Totals: NodeTotals{
			Events: count("rte_backplane_received_total", ""), Matched: count("rte_fanout_events_total", "heard"),
			Deliveries: count("rte_fanout_deliveries_total", ""), Losses: count("rte_backplane_losses_total", ""),
			Refused: count("rte_backplane_refused_total", ""), Dropped: count("rte_fanout_dropped_total", ""),
			Conflated: count("rte_fanout_dropped_total", "conflated"), Expired: count("rte_fanout_events_total", "expired"),
			Slow: count("rte_fanout_outboxes_ended_total", "slow"),
		},
	}
	if n.Problems == nil {
		n.Problems = []Problem{}
	}
	return n
}
