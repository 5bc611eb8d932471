package peer

import (
	"encoding/json"
	"time"

	"github.com/rte-server/rte-server/internal/backplane/sequence"
	"github.com/rte-server/rte-server/internal/events"
)

// Conversation is the part of one lane in the exchange among nodes. It belongs to the worker that has the lane. The
// zero value is ready.
type Conversation struct {
	serial   uint64 // of the query
	by       string // the node whose answer is collected
	parts    int    // how many of its parts came
	events   []events.Event
	complete bool // the last part came
	passed   bool // this node's own query came, and with it everything before it

	answers int       // how many answers this node has given since then
	since   time.Time // the beginning of the second in which answers are counted
}

// about returns the conversation about a query. It begins anew if the one before was about another query.
func (c *Conversation) about(serial uint64) *Conversation {
	if c.serial != serial {
		*c = Conversation{serial: serial, answers: c.answers, since: c.since}
	}
	return c
}

// Part takes a part of an answer. decode makes the events. If the answer is complete now, Part returns it; else nil.
func (c *Conversation) Part(
	x *Exchange, l Lane, p *Part, decode func(data []byte) (events.Event, bool),
) *sequence.Answer {
	if p.Unknown {
		x.count(l, p.Serial, 0, 1)
		return nil
	}
	if !x.waitsFor(l, p.Serial) {
		return nil
	}
	c.about(p.Serial)
	if c.complete || c.by != "" && c.by != p.By || p.Number != c.parts || c.parts == maxParts {
		return nil // an answer is useless if one of its parts got lost, and no node sends more of them
	}
	c.by, c.complete = p.By, p.Last
	c.parts++
	for _, data := range p.data {
		if ev, ok := decode(data); ok {
			c.events = append(c.events, ev)
		}
	}
	return c.conclude(x, l)
}

// Message takes a message of the lane that begins with Mark. known returns the events that another node asks for; ok
// is false if this node does not know them all. If the answer to this node's own query is complete now, Message
// returns it; else nil.
func (c *Conversation) Message(
	x *Exchange, l Lane, payload []byte, now time.Time, known func(*Query) (data [][]byte, ok bool),
) *sequence.Answer {
	var q Query
	if json.Unmarshal(payload[1:], &q) != nil {
		return nil
	}
	switch {
	case q.By != "":
		x.announced(l.Name(), q)
	case q.Node == x.options.Node:
		if x.waitsFor(l, q.Serial) { // else another program published it in this node's name
			c.about(q.Serial).passed = true
			return c.conclude(x, l)
		}
	default:
		c.answer(x, l, &q, now, known)
	}
	return nil
}

// conclude ends the wait when the answer and everything before the own query have come.
func (c *Conversation) conclude(x *Exchange, l Lane) *sequence.Answer {
	if !c.complete || !c.passed {
		return nil
	}
	generation, ok := x.finish(l, c.serial)
	if !ok {
		return nil
	}
	a := &sequence.Answer{Generation: generation, Events: c.events, Complete: true}
	c.events = nil
	return a
}

// answersPerSecond limits the answers that a lane can make this node give: anyone who may publish on the lane may ask.
// A rate.Limiter per lane would take 80 bytes more, of which a node may have 600,000.
const answersPerSecond = 16

// answer answers the query of another node.
func (c *Conversation) answer(x *Exchange, l Lane, q *Query, now time.Time, known func(*Query) ([][]byte, bool)) {
	if now.Sub(c.since) > time.Second {
		c.answers, c.since = 0, now
	}
	node, valid := events.ParseID(q.Node)
	if !valid || c.answers >= answersPerSecond {
		return
	}
	c.answers++
	a := &answer{lane: l.Name(), Query: *q}
	a.Node = node.String()
	head := part{Lane: l.Name(), Serial: q.Serial, By: x.options.Node}
	if data, ok := known(q); ok {
		a.parts = encodeAnswer(head, data)
	}
	if a.parts == nil {
		head.Unknown, a.denial = true, true
		a.parts = encodeAnswer(head, nil)
	}
	x.offer(a)
}
