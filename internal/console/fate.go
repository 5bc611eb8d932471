package console

import (
	"fmt"
	"time"

	"github.com/rte-server/rte-server/internal/hub"
	"github.com/rte-server/rte-server/internal/trace"
)

// The outcomes of an event for one connection.
const (
	outcomeSent           = "sent"
	outcomeUncertain      = "uncertain"
	outcomeConflated      = "conflated"
	outcomeExpired        = "expired"
	outcomeSlow           = "slow"
	outcomeClosed         = "closed"
	outcomeFailed         = "failed"
	outcomeDisconnected   = "disconnected_earlier"
	outcomeConnectedLater = "connected_later"
	outcomeLater          = "subscribed_later"
	outcomeEarlier        = "unsubscribed_earlier"
	outcomeNotSubscribed  = "not_subscribed"
	outcomePolicy         = "refused_by_policy"
	outcomeForeign        = "foreign_organization"
	outcomeNotReceived    = "not_received"
	outcomeLost           = "lost"
	outcomeHeld           = "held_back"
	outcomeUnknown        = "unknown"
	outcomeMalformed      = "malformed"
	outcomeNotConnected   = "not_connected"
)

// round rounds a duration for people.
func round(d time.Duration) time.Duration {
	switch {
	case d < 10*time.Millisecond:
		return d.Round(time.Microsecond)
	case d < time.Second:
		return d.Round(time.Millisecond)
	default:
		return d.Round(100 * time.Millisecond)
	}
}

// reception is what this node did with an event.
type reception struct {
	known     bool // the log has the event
	forgotten bool // it may have had the event
	outcome   trace.Outcome
	at        time.Time // when this node received the event, or another one if this did not
}

// decide derives what became of an event on its way to a connection: from the life of the connection, its subscriptions
// to the topic and what the log has.
func decide(c *ConnectionTrace, s *hub.Subscriber, f *fate, here *reception) {
	at := here.at
	set := func(outcome string, when time.Time, format string, values ...any) {
		c.Outcome, c.Detail = outcome, fmt.Sprintf(format, values...)
		if !when.IsZero() {
			when = when.UTC()
			c.At = &when
		}
	}
	if f != nil && f.aside != nil {
		setAside(c, f.aside, set)
		return
	}
	closed := s.Closed
	reason := s.Reason
	if f != nil && f.ended != nil {
		closed, reason = f.ended.At(), endWord(f.ended.What)
	}
	span, before, after := spanAt(s.Spans, at)
	switch {
	case !closed.IsZero() && !closed.After(at):
		set(outcomeDisconnected, closed, "the connection had ended (%s) %s before the event", reason, round(at.Sub(closed)))
	case span != nil && here.forgotten:
		set(outcomeUnknown, time.Time{}, "the records of the node do not reach back to the event")
	case span != nil && !here.known:
		set(outcomeNotReceived, time.Time{}, "the node of the connection did not receive the event")
	case span != nil && here.outcome != trace.Matched:
		setOutcome(here.outcome, set)
	case span != nil && f != nil && f.some != nil && !f.some.At().Before(at):
		set(outcomeUncertain, f.some.At(), "the connection ended (%s) %s after the event, while %d events were on their way "+
			"to it", f.some.What, round(f.some.At().Sub(at)), f.some.Count)
	case span != nil:
		set(outcomeSent, time.Time{}, "sent")
	case after != nil:
		set(outcomeLater, after.Began, "the subscription of that connection began %s after the event",
			round(after.Began.Sub(at)))
	case before != nil:
		set(outcomeEarlier, before.Ended, "the subscription of that connection had ended (%s) %s before the event",
			before.Reason, round(at.Sub(before.Ended)))
	case s.Opened.After(at):
		set(outcomeConnectedLater, s.Opened, "the connection opened %s after the event, and has no subscription to it",
			round(s.Opened.Sub(at)))
	default:
		set(outcomeNotSubscribed, time.Time{}, "the connection has no subscription to the event")
	}
}

// spanAt returns the subscription that covers a moment, or the latest one before it and the first one after it.
func spanAt(spans []hub.Span, at time.Time) (during, before, after *hub.Span) {
	for i := range spans {
		span := &spans[i]
		switch {
		case span.Began.After(at):
			if after == nil {
				after = span
			}
		case !span.Ended.IsZero() && !span.Ended.After(at):
			before = span
		default:
			during = span
		}
	}
	return during, before, after
}

// setAside sets the outcome that an aside is.
func setAside(c *ConnectionTrace, a *trace.Aside, set func(string, time.Time, string, ...any)) {
	switch a.What {
	case trace.Conflated:
		c.By = a.By.String()
		set(outcomeConflated, a.At(), "the newer state %s replaced it while the socket was full", a.By)
	case trace.ExpiredWaiting:
		set(outcomeExpired, a.At(), "its MessageTTLSeconds ended while the socket was full")
	case trace.Slow:
		set(outcomeSlow, a.At(), "it waited for a connection that did not read and was closed as slow")
	case trace.Failed:
		set(outcomeFailed, a.At(), "it waited for a connection that failed")
	default:
		set(outcomeClosed, a.At(), "it waited for a connection that did not read, until that was closed")
	}
}

// setOutcome sets the outcome of an event that the node gave to no subscriber.
func setOutcome(o trace.Outcome, set func(string, time.Time, string, ...any)) {
	switch o {
	case trace.Expired:
		set(outcomeExpired, time.Time{}, "its MessageTTLSeconds had ended when it came")
	case trace.Held:
		set(outcomeHeld, time.Time{}, "the organization was above quotas.events, and a newer state replaced it or it waits")
	case trace.Malformed:
		set(outcomeMalformed, time.Time{}, "it could not be encoded")
	default:
		set(outcomeLater, time.Time{}, "the subscription began at the same moment, or later")
	}
}

// explainLoss finds the notification of a connection that the event was lost.
func explainLoss(c *ConnectionTrace, notified []hub.Notified, at time.Time) {
	for i := range notified {
		n := &notified[i]
		before := n.From != nil && at.Before(n.From.Add(-lossMargin))
		behind := n.To != nil && at.After(n.To.Add(lossMargin))
		if n.Connection == c.Connection && !before && !behind {
			when := n.At
			c.Outcome, c.At = outcomeLost, &when
			c.Detail = describeLoss(n)
			return
		}
	}
}

// lossMargin is the difference of two clocks that explainLoss allows.
const lossMargin = 5 * time.Second

func describeLoss(n *hub.Notified) string {
	text := "the node did not receive it and could not get it back (" + n.Reason + "); the client was notified"
	if n.How == "close" {
		text = "the node did not receive it and could not get it back (" + n.Reason +
			"); the connection was closed so that its client loads everything again"
	}
	return text + " at " + n.At.UTC().Format(time.RFC3339)
}

// endWord returns the reason of the end of an outbox, as close reasons are spelt.
func endWord(w trace.What) string {
	switch w {
	case trace.EndedSlow:
		return "slow"
	case trace.EndedSilent:
		return "silent"
	default:
		return "failed"
	}
}
