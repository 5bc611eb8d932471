package history

import (
	"slices"
	"time"
)

// held is what a connection knows about a topic at a moment, as records of this topic alone; nil: none.
type held struct {
	requested, opened, leaving *Record
}

// Forget drops the records before a moment. The subscriptions of that moment stay, with the times of their beginnings,
// and so do the calls without an answer. Of a connection that had ended only its end stays.
func (c *Connection) Forget(before time.Duration) {
	first := len(c.Records)
	if i := slices.IndexFunc(c.Records, func(r Record) bool { return r.At >= before }); i >= 0 {
		first = i
	}
	if first > 0 && c.Records[first-1].Kind == Closed {
		c.Records = slices.Clone(c.Records[first-1:])
		return
	}
	var order []Topic
	topics := map[Topic]*held{}
	for i := range c.Records[:first] {
		r := &c.Records[i]
		for _, topic := range r.Topics {
			h := topics[topic]
			if h == nil {
				h = &held{}
				topics[topic] = h
				order = append(order, topic)
			}
			h.step(&Record{At: r.At, Kind: r.Kind, Topics: []Topic{topic}})
		}
	}
	var kept []Record
	for _, topic := range order {
		h := topics[topic]
		for _, r := range []*Record{h.requested, h.opened, h.leaving} {
			if r != nil {
				kept = append(kept, *r)
			}
		}
	}
	slices.SortStableFunc(kept, func(a, b Record) int { return int(a.At - b.At) })
	c.Records = append(kept, c.Records[first:]...)
}

// step takes the next record, as walk does.
func (h *held) step(r *Record) {
	switch r.Kind {
	case Subscribing:
		h.requested = r
	case Subscribed:
		if h.opened == nil {
			h.opened = r
		}
	case Unsubscribing:
		if h.opened != nil {
			h.leaving = r
		}
	case Unsubscribed:
		if h.leaving != nil {
			*h = held{}
		}
	case Ended:
		if h.opened != nil {
			*h = held{}
		}
	case Received, Lost, Closed: // they change no subscription
	}
}
