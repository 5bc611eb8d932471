package guards

// plantedBySecond returns the bugs of a second person, who planted them before reading the tests. They look like those
// of a tired colleague: a wrong index, a swapped order of two calls, a lost value, a cache that is not invalidated.
func plantedBySecond() []change {
	return []change{
		{
			place: "answer to a publisher", what: "the error of one event goes to another event of the batch",
			file:    ingest + "/take.go",
			text:    `errs[valid.places[i]] = err`,
			instead: `errs[i] = err`,
			hole:    true,
			tests:   all(ingest),
		},
		{
			place: "publishing function in Redis", what: "the states of a topic never expire in Redis",
			file:    redis + "/command/rte.lua",
			text:    `if type(left) ~= 'number' or left < ttl then`,
			instead: `if type(left) ~= 'number' or left > ttl then`,
			tests:   of(redis, "TestSnapshot_"),
		},
		{
			place: "reads of journals", what: "a read that failed replaces a later one", file: redis + "/journal.go",
			text: `if _, queued := j.reads[r.lane]; !queued {
			j.lanes = append(j.lanes, r.lane)
			j.reads[r.lane] = r.Read
		}`,
			instead: `if _, queued := j.reads[r.lane]; !queued {
			j.lanes = append(j.lanes, r.lane)
		}
		j.reads[r.lane] = r.Read`,
			hole:  true,
			tests: of(redis, "TestJournal_"),
		},
		{
			place: "interrupted repair", what: "a second interruption forgets what the first repair missed",
			file:    sequence + "/repair.go",
			text:    "	r.missing = old.missing\n",
			instead: "",
			tests:   all(sequence),
		},
		{
			place: "snapshots from Redis", what: "a topic counts as complete although a state had no room",
			file: redis + "/snapshot.go",
			text: `	for _, t := range topics {
		l.states.SetComplete(t, &w.b.states)
	}
	for _, f := range news {
		l.states.Learn(f.event, f.key, f.expires, now, &w.b.states)
	}`,
			instead: `	for _, f := range news {
		l.states.Learn(f.event, f.key, f.expires, now, &w.b.states)
	}
	for _, t := range topics {
		l.states.SetComplete(t, &w.b.states)
	}`,
			tests: of(redis, "TestSnapshot_"),
		},
		{
			place: "cache of the directory", what: "a change of everything misses the reading under way",
			file:    authz + "/directory/cached.go",
			text:    `if c.All || changed[key.id] {`,
			instead: `if changed[key.id] {`,
			hole:    true,
			tests:   all(authz + "/directory"),
		},
		{
			place: "table of a shard", what: "who subscribes again to a topic of many gets no events",
			file:    registry + "/table.go",
			text:    `if from, ok := l.removed[s.Target]; ok && i < from {`,
			instead: `if from, ok := l.removed[s.Target]; ok && i <= from {`,
			tests:   all(registry),
		},
		{
			place: "age of what waits", what: "a state that replaces another one waits anew", file: fanout + "/waiting.go",
			text:    `p.since, replaced = older.since, older.broadcast`,
			instead: `replaced = older.broadcast`,
			hole:    true,
			tests:   all(fanout),
		},
		{
			place: "hub messages in pieces", what: "a message shares its memory with the next one",
			file: protocol + "/splitter.go",
			text: `		s.pending = nil
		return message, p[n:], nil`,
			instead: `		s.pending = s.pending[:0]
		return message, p[n:], nil`,
			hole:  true,
			tests: all(protocol),
		},
		{
			place: "revocations of other nodes", what: "a revocation is announced before it is there",
			file: tokens + "/revocation_shared.go",
			text: `	s.add(r)
	s.came.Set()
	return nil`,
			instead: `	s.came.Set()
	s.add(r)
	return nil`,
			hole:  true,
			tests: all(tokens),
		},
		{
			place: "continuation on another socket", what: "the first number is named before frames are forgotten",
			file: fanout + "/resumption.go",
			text: `	o.forget()
	buf := append(s.buffers.get(), o.writer.Sequence(r.first.Load())...)`,
			instead: `	buf := append(s.buffers.get(), o.writer.Sequence(r.first.Load())...)
	o.forget()`,
			tests: all(fanout),
		},
		{
			place: "closes after a loss", what: "the pause of closes has no end", file: hub + "/resync.go",
			text:    "		l.held += holdInterval\n",
			instead: "",
			tests:   all(hub),
		},
		{
			place: "batches to Redis", what: "a refusal of Redis goes to another event of the batch",
			file:    redis + "/command/batch.go",
			text:    `errs[i] = c.refusal(&all[i], err)`,
			instead: `errs[k] = c.refusal(&all[i], err)`,
			hole:    true,
			tests:   of(redis, "TestPublish_"),
		},
		{
			place: "unknown entities in the cache", what: "a change of everything leaves unknown entities unknown",
			file:    authz + "/directory/cached.go",
			text:    "		d.unknown.clear()\n",
			instead: "",
			tests:   all(authz + "/directory"),
		},
		{
			place: "exemption of large frames", what: "a small state has the exemption of a large one that it replaces",
			file: fanout + "/waiting.go",
			text: `			if w.largeAt == place {
				w.large = 0
			}
`,
			instead: "",
			hole:    true,
			tests:   all(fanout),
		},
		{
			place: "answers to other nodes", what: "an answer waits for the next query", file: redis + "/peer/exchange.go",
			text: `		x.bytes += size
	}
	x.mu.Unlock()
	x.work.Set()`,
			instead: `		x.bytes += size
	}
	x.mu.Unlock()`,
			tests: all(redis + "/peer"),
		},
	}
}
