package console

import (
	"context"
	"encoding/json"
	"net/url"
	"time"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/tap"
)

const (
	// tapPause is the least time between two batches of a tap, so that each carries several events.
	tapPause = 100 * time.Millisecond
	// tapPulse is the greatest time between two batches: other nodes see that the tap runs.
	tapPulse = time.Second
	// maxTapBatch is about the largest batch, in bytes.
	maxTapBatch = 128 << 10
)

// TapEvent is an event in a tap.
type TapEvent struct {
	At           time.Time `json:"at"`   // when the node decided
	Node         string    `json:"node"` // receiving node; each has an entry of its own
	Organization string    `json:"organization"`
	Entity       string    `json:"entity"`
	EntityType   string    `json:"entityType"` // User, Queue or CallList; empty: the catalog does not have the event
	Event        string    `json:"event"`      // name; empty: the catalog does not have it
	ID           string    `json:"id,omitempty"`
	Tier         string    `json:"tier"`
	Lane         string    `json:"lane"`
	Outcome      string    `json:"outcome"`         // see /api/events
	AgeMS        *int64    `json:"ageMs,omitempty"` // At minus the Timestamp of the event, if the node read it
	Subscribers  int       `json:"subscribers"`     // of this node, about so many
	Bytes        int       `json:"bytes"`
	// Data is the event as published, without personal values unless the tap has data=full. It is empty with data=none,
	// and for an event that is not JSON.
	Data json.RawMessage `json:"data,omitempty"`
}

// TapDropped reports that a tap left out events.
type TapDropped struct {
	Node   string    `json:"node"`
	Count  uint64    `json:"count"`
	Reason string    `json:"reason"` // sampled, rate, queue, memory, reader or lost
	Since  time.Time `json:"since"`
}

// tapBatch is a batch of events that the tap of one node passes on.
type tapBatch struct {
	Before  uint64       `json:"before"` // events in the previous batches
	Events  []TapEvent   `json:"events"`
	Dropped []TapDropped `json:"dropped"`
	Problem string       `json:"problem,omitempty"` // why the node has no tap
}

// Feed passes the events of this node for a tap of another node to send, as Others.Follow requests it, until ctx ends.
func (o *Operator) Feed(ctx context.Context, request []byte, send func(ctx context.Context, batch []byte) error) {
	pass := func(b *tapBatch) bool {
		text, err := json.Marshal(b)
		return err != nil || send(ctx, text) == nil || ctx.Err() == nil
	}
	query, err := url.ParseQuery(string(request))
	if err == nil {
		var f tapFilter
		if f, err = o.parseTap(query); err == nil {
			err = o.feed(ctx, &f, pass)
		}
	}
	if err != nil {
		pass(&tapBatch{Problem: err.Error()})
	}
}

// feed runs a tap of this node and passes its batches on, until ctx ends or pass returns false.
func (o *Operator) feed(ctx context.Context, f *tapFilter, pass func(*tapBatch) bool) error {
	sessions := o.watchSessions(f)
	t, err := o.taps.Open(f.Filter)
	if err != nil {
		return err
	}
	defer t.Close()
	if !pass(&tapBatch{}) {
		return nil
	}
	sent, since := uint64(0), time.Now()
	for wait(ctx, t.Waiting(), tapPulse) {
		now := time.Now()
		sessions.look(now)
		copies, dropped := t.Take()
		b := tapBatch{Before: sent}
		for why, count := range dropped {
			if count > 0 {
				reason := tap.Reason(why).String()
				b.Dropped = append(b.Dropped, TapDropped{o.node, count, reason, since.UTC()})
			}
		}
		since = now
		bytes := 0
		for i := range copies {
			e := o.describeCopy(&copies[i], f.data)
			b.Events = append(b.Events, e)
			if bytes += len(e.Data); bytes < maxTapBatch && i+1 < len(copies) {
				continue
			}
			sent += uint64(len(b.Events))
			if !pass(&b) {
				return nil
			}
			b, bytes = tapBatch{Before: sent}, 0
		}
		if len(copies) == 0 && !pass(&b) {
			return nil
		}
		if !wait(ctx, nil, tapPause) {
			return nil
		}
	}
	return nil
}

// wait waits for a signal or a time. It returns false if ctx ends first.
func wait(ctx context.Context, signal <-chan struct{}, most time.Duration) bool {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-signal:
	case <-timer.C:
	case <-ctx.Done():
		return false
	}
	return true
}

// describeCopy describes a copied event.
func (o *Operator) describeCopy(c *tap.Copy, data string) TapEvent {
	e := TapEvent{
		At: c.At.UTC(), Node: o.node, Organization: c.Organization.String(), Entity: c.Entity.String(),
		Tier: c.Tier.String(), Lane: o.lane(c.Topic), Outcome: c.Outcome.String(), Subscribers: c.Subscribers, Bytes: c.Size,
	}
	if c.ID != (events.ID{}) {
		e.ID = c.ID.String()
	}
	if definition := o.catalog.Definition(c.Type); definition != nil {
		e.Event, e.EntityType = definition.Name, definition.Kind.String()
	}
	if !c.Timestamp.IsZero() {
		age := c.At.Sub(c.Timestamp).Milliseconds()
		e.AgeMS = &age
	}
	switch {
	case data == dataMasked:
		if masked, err := o.catalog.AppendMasked(nil, c.Type, c.Data); err == nil {
			e.Data = masked
		}
	case data == dataFull && json.Valid(c.Data):
		e.Data = c.Data
	}
	return e
}
