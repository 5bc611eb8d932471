// Package peer recovers events without a journal from the other nodes.
//
// A node that may have missed events of a lane publishes a peer query on the lane itself. So the query has the same
// place among the events of the lane for every node: another node answers with the events before the query, and the
// asking node receives the events after it by itself. One of the nodes that know the events announces an answer on the
// lane, and then sends it in parts on the channel of the asking node.
//
// The asking node, for one repair of one lane (Exchange.waiting and Conversation):
//
//	         Query                query published
//	(idle) ───────▶ queued ──────────────────────────▶ waiting ──── part of an answer ───▶ collecting
//	   ▲              │                                 │    │                                 │
//	   │              │ too many queries, or           │    │ every other node denied,        │ last part came, and
//	   │              │ the deadline passed             │    │ or the deadline passed          │ so did the own query
//	   │              ▼                                 │    ▼                                 ▼
//	   └────────── unknown ◀────────────────────────────┴─ unknown                         complete ──▶ (idle)
//
// In each end state the lane gets a sequence.Answer: incomplete if unknown, else with the events. A part that is
// missing leaves the lane in collecting until its deadline. A lane in waiting or collecting goes back to queued when
// the channel of the node was subscribed again, because the answer may have gone to the connection before. It asks
// three times at most. Each query has a serial number, so that answers to the one before do not count.
//
// A node that receives the query of another:
//
//	query ──▶ known?  ── no ──▶ denial sent at once
//	             │
//	             yes ──▶ answer queued for a random time ── announcement of another node ──▶ dropped
//	                              │
//	                              └─ time is up ──▶ announcement published, parts sent
//
// Bounds: queries and answers by number, answers by bytes, answers of a lane per second, and recent events by the bytes
// of all lanes together. A node does not answer a query beyond a bound; the lane of that query then reports a loss.
package peer
