package guards

// planted returns bugs in different places of the way of an event. They look like mistakes that authors make.
func planted() []change {
	return []change{
		{
			place: "HTTP publish", what: "a retry leaves out the line where it continues", file: ingest + "/publish.go",
			text:    `case len(event) == 0 || events.line < before.Line:`,
			instead: `case len(event) == 0 || events.line <= before.Line:`,
			tests:   all(ingest),
		},
		{
			place: "decoding of Redis messages", what: "events of one millisecond have one position",
			file:    backplane + "/frame.go",
			text:    `return StreamID{Milliseconds: ms, Sequence: seq}, true`,
			instead: `return StreamID{Milliseconds: ms, Sequence: min(seq, 0)}, true`,
			tests:   all(backplane),
		},
		{
			place: "sequence", what: "a gap of one event is no gap", file: sequence + "/repair.go",
			text:    `case m.N > l.last.N+1:`,
			instead: `case m.N > l.last.N+2:`,
			tests:   all(sequence),
		},
		{
			place: "journal", what: "only the first page of a journal is read", file: redis + "/journal.go",
			text:    `More:       len(found) >= r.Count,`,
			instead: `More:       len(found) > r.Count,`,
			tests:   of(redis, "TestFault_|Test.*[Jj]ournal"),
		},
		{
			place: "peer recovery", what: "a node that has dropped events answers as if it had all",
			file:    redis + "/peer/recent.go",
			text:    `r.before, r.since = block.last().id, r.base.Add(block.last().at)`,
			instead: `r.before = block.last().id`,
			tests:   all(redis + "/peer"),
		},
		{
			place: "dispatcher", what: "the first client of a protocol gets nothing", file: fanout + "/dispatcher.go",
			text:    `plain, compress := d.open[p].Load() > 0,`,
			instead: `plain, compress := d.open[p].Load() > 1,`,
			tests:   all(fanout),
		},
		{
			place: "conflation", what: "a state replaces those of other callbacks", file: fanout + "/waiting.go",
			text:    `key := subscriptionState{p.id, p.broadcast.key}`,
			instead: `key := subscriptionState{p.id, events.ID{}}`,
			tests:   all(fanout),
		},
		{
			place: "outbox", what: "a large frame overtakes those before it", file: fanout + "/outbox.go",
			text:    "o.flush() // which may end it or fill the socket",
			instead: "_ = limit",
			tests:   all(fanout),
		},
		{
			place: "numbering", what: "a frame too many is forgotten", file: fanout + "/resumption.go",
			text:    `for n < len(r.log) && first+uint64(n) <= acked {`,
			instead: `for n < len(r.log) && first+uint64(n) <= acked+1 {`,
			tests:   all(fanout),
		},
		{
			place: "frame encoding", what: "a length of 126 has the short form", file: websocket + "/frame.go",
			text: `case payload <= 125:`, instead: `case payload <= 126:`,
			tests: all(websocket),
		},
		{
			place: "registry", what: "a removed topic hides those behind it", file: registry + "/index.go",
			text: `x.slots[i].entry.Store(nil)`, instead: "x.slots[i].entry.Store(nil)\n\t\t\tx.slots[i].hash.Store(0)",
			tests: all(registry),
		},
		{
			place: "subscription", what: "the answer is sent and the subscription is not", file: fanout + "/shard.go",
			text:    `s.table.Add(a.Entry, subscriber{Target: o, ID: a.ID, Since: s.number})`,
			instead: `s.table.Add(a.Entry, subscriber{Target: o, ID: a.ID, Since: s.number + 1})`,
			tests:   all(fanout),
		},
	}
}
