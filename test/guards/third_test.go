package guards

// plantedByThird returns the bugs of a third person, who planted them before reading the tests: a step that is left
// out, two steps in the wrong order, a copy that is not made, a wake-up that is lost.
func plantedByThird() []change {
	return []change{
		{
			place: "third try of a publisher", what: "lines that are done are not sorted before they are searched",
			file:    ingest + "/publish.go",
			text:    "		slices.Sort(body.Done)\n",
			instead: "",
			hole:    true,
			tests:   of(ingest, "TestPublish_"),
		},
		{
			place: "receipts without Redis", what: "the memory of a receipt is counted twice when it is replaced",
			file: backplane + "/memory_receipts.go",
			text: `	old, known := r.kept[key]
	switch {
	case known:
		r.bytes -= len(old.text) + receiptCost
`,
			instead: `	_, known := r.kept[key]
	switch {
	case known:
`,
			hole:  true,
			tests: of(backplane, "TestMemory_"),
		},
		{
			place: "changes of the directory", what: "subscriptions are rechecked before the cache is invalidated",
			file:    "internal/node/control.go",
			text:    "		invalidate(change)\n		changed(change)\n",
			instead: "		changed(change)\n		invalidate(change)\n",
			hole:    true,
			tests:   of("internal/node", "TestFollow_"),
		},
		{
			place: "scheduler of lanes", what: "lanes that were parked once are scheduled after each stall",
			file:    redis + "/scheduler.go",
			text:    "		t.lane.load.parked = nil\n",
			instead: "",
			hole:    true,
			tests:   of(redis, "TestScheduler_"),
		},
		{
			place: "end of revocations", what: "the revocation of a user ends with that of another one",
			file:    tokens + "/revocation_list.go",
			text:    `if !keep(later(later(u.all.until, u.issued.until), u.undone.until)) {`,
			instead: `if !keep(later(u.all.until, u.undone.until)) {`,
			hole:    true,
			tests:   of(tokens, "TestRevocations_"),
		},
		{
			place: "batches to an old Redis", what: "events behind a failed one count as published",
			file: redis + "/command/batch.go",
			text: `		for k, i := range left[:count] {
			errs[i] = c.publishAgain(ctx, &all[i], cause)
			if errors.Is(errs[i], backplane.ErrUnavailable) {
				for _, rest := range left[k+1:] {
`,
			instead: `		for _, i := range left[:count] {
			errs[i] = c.publishAgain(ctx, &all[i], cause)
			if errors.Is(errs[i], backplane.ErrUnavailable) {
				for _, rest := range waiting {
`,
			hole:  true,
			tests: of(redis, "TestPublish_"),
		},
		{
			place: "keys of states", what: "two states are one if their keys differ only in where a value ends",
			file:    "internal/events/state_key.go",
			text:    "		values = append(values, 0) // JSON text does not contain this byte\n",
			instead: "",
			hole:    true,
			tests:   of("internal/events", "TestStateKey_"),
		},
		{
			place: "states above the quota", what: "a held state changes with the next event of its worker",
			file:    fanout + "/quota.go",
			text:    "	shared := *ev\n	ho.states[key] = &shared\n	ho.order = append(ho.order, key)\n",
			instead: "	ho.states[key] = ev\n	ho.order = append(ho.order, key)\n",
			hole:    true,
			tests:   of(fanout, "TestQuota_"),
		},
		{
			place: "quota of subscriptions", what: "an item whose lane failed counts for ever", file: hub + "/session.go",
			text:    `c.taken-len(c.added)+len(c.removed))`,
			instead: `len(c.removed))`,
			hole:    true,
			tests:   of(hub, "TestQuota_"),
		},
		{
			place: "loss of a socket", what: "a connection that ends while its reader stops is never over",
			file:    transport + "/resume.go",
			text:    `r.parked = next == nil && c.ended.Load() == 0`,
			instead: `r.parked = next == nil`,
			hole:    true,
			tests:   of(transport, "TestResume_"),
		},
		{
			place: "answer when a socket is lost", what: "a call whose answer the lost socket had not taken never ends",
			file:    fanout + "/resumption.go",
			text:    "	o.moveAnswer(answerCollected, answerInFlight)\n",
			instead: "",
			hole:    true,
			tests:   of(fanout, "TestAwaitAnswer_"),
		},
		{
			place: "pieces of a snapshot", what: "the states of a topic come twice if they do not fit",
			file:    hub + "/snapshot.go",
			text:    `case size >= snapshotBytes && !begun[ev.Topic]:`,
			instead: `case size >= snapshotBytes:`,
			hole:    true,
			tests:   of(hub, "TestSnapshot_"),
		},
		{
			place: "Ids of skimmed events", what: "an Id that enters the set twice is never forgotten",
			file:    sequence + "/ids.go",
			text:    `range ring[:s.next-s.noted] {`,
			instead: `range ring[:s.next] {`,
			hole:    true,
			tests:   of(sequence, "TestLane_forgets"),
		},
		{
			place: "end of a subscription to a lane", what: "a page of the subscription before counts for the new one",
			file:    sequence + "/lane.go",
			text:    `Lane{Watch: l.Watch, generation: l.generation}`,
			instead: `Lane{Watch: l.Watch}`,
			hole:    true,
			tests:   of(sequence, "TestLane_ignores"),
		},
	}
}
