package console

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"time"

	"go.uber.org/zap"
)

const (
	// minOver and maxOver bound the time over which connections are closed at the request of an operator.
	minOver = time.Second
	maxOver = time.Hour
	// defaultShed is the time for a shed whose request names none.
	defaultShed = time.Minute
)

// ErrDeparture means that connections are being closed already, or that the node stops.
var ErrDeparture = errors.New("connections are being closed already; see GET /api/drain")

// Drainer sends clients of this node to other nodes. Its methods do not wait for them.
type Drainer interface {
	// Drain begins to close all connections over a time, 0: shutdown.drain, and refuses new ones until CancelDrain. It
	// takes the place of a shed. The error is ErrDeparture if the node stops.
	Drain(over time.Duration) error
	// CancelDrain ends a drain: the node keeps the rest of its connections and accepts new ones.
	CancelDrain()
	// Shed begins to close a number of connections over a time. The error is ErrDeparture.
	Shed(connections int, over time.Duration) error
	// CancelShed ends a shed.
	CancelShed()
	// Departure returns what is under way.
	Departure() Departure
	// Nodes returns the nodes that this node knows of, itself first.
	Nodes() []PeerNode
}

// Departure describes the closing of connections of this node. It is the answer of /api/drain and /api/shed.
type Departure struct {
	// Action is "drain", "shed", "stop" or "none".
	Action string `json:"action"`
	// Connections is the number of open connections.
	Connections int `json:"connections"`
	// Leaving is the number of connections that the action closes in all.
	Leaving int `json:"leaving,omitempty"`
	// OverSeconds is the time over which it closes them.
	OverSeconds float64 `json:"overSeconds,omitempty"`
	// Held is the reason for which the action pauses; empty: it does not pause.
	Held string `json:"held,omitempty"`
}

// StateSilent is the state of a peer whose last announcement is overdue: it was killed, or nothing reaches this node.
const StateSilent = "silent"

// PeerNode is one node in the answer of /api/nodes.
type PeerNode struct {
	ID          string `json:"id"`
	State       string `json:"state"` // as in /readyz, or StateSilent
	Connections int    `json:"connections"`
	// SilentSeconds is the age of the node's last announcement; the node that answers has none.
	SilentSeconds float64 `json:"silentSeconds,omitempty"`
}

// NodeList is the answer of /api/nodes.
type NodeList struct {
	Nodes []PeerNode `json:"nodes"` // this node first
}

// drain begins a drain.
func (o *Operator) drain(_ context.Context, query url.Values) (any, error) {
	if err := onlyKeys(query, "over"); err != nil {
		return nil, err
	}
	over, err := parseOver(query, 0)
	if err != nil {
		return nil, err
	}
	if err := o.drainer.Drain(over); err != nil {
		return nil, BadRequest(err.Error())
	}
	return o.departed("drain began")
}

// shed begins a shed.
func (o *Operator) shed(_ context.Context, query url.Values) (any, error) {
	if err := onlyKeys(query, "connections", "over"); err != nil {
		return nil, err
	}
	number, err := strconv.Atoi(query.Get("connections"))
	if query.Get("connections") == "all" {
		number, err = max(o.hub.Sessions().Len(), 1), nil
	}
	if err != nil || number < 1 {
		return nil, BadRequest(`connections: must be a number of at least 1, or "all"`)
	}
	over, err := parseOver(query, defaultShed)
	if err != nil {
		return nil, err
	}
	if err := o.drainer.Shed(number, over); err != nil {
		return nil, BadRequest(err.Error())
	}
	return o.departed("shed began")
}

// cancelDrain ends a drain.
func (o *Operator) cancelDrain(_ context.Context, query url.Values) (any, error) {
	if err := onlyKeys(query); err != nil {
		return nil, err
	}
	o.drainer.CancelDrain()
	return o.departed("drain cancelled")
}

// cancelShed ends a shed.
func (o *Operator) cancelShed(_ context.Context, query url.Values) (any, error) {
	if err := onlyKeys(query); err != nil {
		return nil, err
	}
	o.drainer.CancelShed()
	return o.departed("shed cancelled")
}

// departure returns what is under way.
func (o *Operator) departure(_ context.Context, query url.Values) (any, error) {
	if err := onlyKeys(query); err != nil {
		return nil, err
	}
	return o.drainer.Departure(), nil
}

// nodes lists the nodes.
func (o *Operator) nodes(_ context.Context, query url.Values) (any, error) {
	if err := onlyKeys(query); err != nil {
		return nil, err
	}
	return NodeList{Nodes: o.drainer.Nodes()}, nil
}

// departed records an action of an operator and returns its answer.
func (o *Operator) departed(action string) (any, error) {
	d := o.drainer.Departure()
	o.audit.Info(action, zap.Int("connections", d.Connections), zap.Int("leaving", d.Leaving),
		zap.Float64("over_seconds", d.OverSeconds))
	return d, nil
}

// parseOver reads the parameter over.
func parseOver(query url.Values, byDefault time.Duration) (time.Duration, error) {
	if !query.Has("over") {
		return byDefault, nil
	}
	over, err := time.ParseDuration(query.Get("over"))
	if err != nil || over < minOver || over > maxOver {
		return 0, BadRequest("over: must be a duration from 1s to 1h, such as 60s")
	}
	return over, nil
}
