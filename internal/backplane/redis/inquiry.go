package redis

import (
	"encoding/json"
	"time"

	"github.com/rte-server/rte-server/internal/backplane/sequence"
	"github.com/rte-server/rte-server/internal/events"
)

// inquiry is a lane's part in a conversation among nodes. It belongs to the worker that has the lane.
type inquiry struct {
	generation uint64
	by         string // whose answer is collected
	parts      int    // how many of its parts came
	events     []events.Event
	complete   bool // the answer is
	heard      bool // this node's own question came, and so everything before it

	answers int       // how many this node has given since
	since   time.Time // then
}

// about is the lane's part in the conversation about a repair, which begins anew if the one before was about another.
func (q *inquiry) about(generation uint64) *inquiry {
	if q.generation != generation {
		*q = inquiry{generation: generation, answers: q.answers, since: q.since}
	}
	return q
}

// answered ends the waiting for other nodes: with what one of them knows, or because nobody does.
type answered struct{ sequence.Answer }

func (n *answered) tell(w *worker, l *lane, now time.Time) {
	l.sequence.Answer(w, now, &n.Answer)
}

// answerPart is a part of an answer.
type answerPart struct {
	part
	data [][]byte
}

func (n *answerPart) tell(w *worker, l *lane, now time.Time) {
	if n.Unknown {
		w.b.peers.deny(l, n.Generation)
		return
	}
	if !w.b.peers.waitsFor(l, n.Generation) {
		return
	}
	q := l.inquiry.about(n.Generation)
	if q.complete || q.by != "" && q.by != n.By || n.Number != q.parts {
		return // of an answer without a part that got lost nothing is of use
	}
	q.by, q.complete = n.By, n.Last
	q.parts++
	for _, data := range n.data {
		if ev, ok := w.b.receiver.Decode(l.organization, data); ok {
			q.events = append(q.events, ev)
		}
	}
	w.conclude(l, now)
}

// question takes what nodes say to each other on a lane.
func (w *worker) question(l *lane, it *item, now time.Time) {
	var said question
	if json.Unmarshal(it.payload[1:], &said) != nil {
		return
	}
	switch {
	case said.By != "":
		w.b.peers.announced(l.name, said)
	case said.Node == w.b.node:
		if w.b.peers.waitsFor(l, said.Generation) { // else somebody else says so
			l.inquiry.about(said.Generation).heard = true
			w.conclude(l, now)
		}
	default:
		w.inform(l, &said, it.era, now)
	}
}

// conclude ends the waiting for other nodes when the answer is there, and what came before the question, too.
func (w *worker) conclude(l *lane, now time.Time) {
	q := &l.inquiry
	if !q.complete || !q.heard || !w.b.peers.settle(l, q.generation) {
		return
	}
	w.b.metrics.peerAnswers.Inc()
	l.sequence.Answer(w, now, &sequence.Answer{Generation: q.generation, Events: q.events, Complete: true})
	q.events = nil
}

// informEvery limits what a lane can make this node answer: whoever may publish on the lane may ask.
const informEvery = 16

// inform answers another node if this one has what it asks for.
func (w *worker) inform(l *lane, asked *question, era *sequence.Era, now time.Time) {
	if now.Sub(l.inquiry.since) > time.Second {
		l.inquiry.answers, l.inquiry.since = 0, now
	}
	node, valid := events.ParseID(asked.Node)
	if !valid || l.inquiry.answers >= informEvery {
		return
	}
	l.inquiry.answers++
	a := &answer{lane: l.name, question: *asked}
	a.Node = node.String()
	head := part{Lane: l.name, Generation: asked.Generation, By: w.b.node}
	if data, ok := l.recent.answer(asked, era); ok && !l.sequence.Repairing() {
		a.parts = encodeAnswer(head, data)
	}
	if a.parts == nil {
		head.Unknown, a.denial = true, true
		a.parts = encodeAnswer(head, nil)
	}
	w.b.peers.offer(a)
}
