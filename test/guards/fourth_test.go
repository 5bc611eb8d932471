package guards

// plantedByFourth returns the bugs of a fourth person, who planted one in each stage on the way of an event and had
// read no test. A tenth bug, in batches to an old Redis, is on the list of the third person.
func plantedByFourth() []change {
	return []change{
		{
			place: "receipt of a request", what: "the result is not recorded when the publisher has gone",
			file:    ingest + "/publish.go",
			text:    `context.WithTimeout(context.WithoutCancel(ctx), receiptTimeout)`,
			instead: `context.WithTimeout(ctx, receiptTimeout)`,
			hole:    true,
			tests:   of(ingest, "TestPublish_"),
		},
		{
			place: "overflow of a lane", what: "the report has the era of the last dropped message, not of the first",
			file:    redis + "/worker.go",
			text:    `sequence.Break{Era: first.era, Reason: backplane.LossOverflow`,
			instead: `sequence.Break{Era: en.era, Reason: backplane.LossOverflow`,
			hole:    true,
			tests:   of(redis, "TestOffer_"),
		},
		{
			place: "repair in two parts", what: "an interrupted repair forgets the missing events that it has found",
			file:    sequence + "/repair.go",
			text:    "	r.missing = old.missing\n",
			instead: "",
			tests:   of(sequence, "TestLane_"),
		},
		{
			place: "reads of several journals", what: "after a failure the second half of the reads is lost",
			file: redis + "/journal.go",
			text: `				e.link.journal.putBack(reads[most:])
				reads = reads[:most]
`,
			instead: `				reads = reads[:most]
				e.link.journal.putBack(reads[most:])
`,
			tests: of(redis, "TestRepair_"),
		},
		{
			place: "end of the quota", what: "a held state comes after a newer one",
			file:    fanout + "/dispatcher.go",
			text:    `if d.quota.Load() > 0 || d.held.total.Load() > 0 {`,
			instead: `if d.quota.Load() > 0 {`,
			hole:    true,
			tests:   of(fanout, "TestSetQuota_"),
		},
		{
			place: "writes to a slow client", what: "bytes that no longer wait are subtracted several times",
			file:    fanout + "/outbox.go",
			text:    "	for {\n		waited := o.waiting.bytes\n",
			instead: "	waited := o.waiting.bytes\n	for {\n",
			tests:   of(fanout, "TestOutboxes_"),
		},
		{
			place: "decisions of a Subscribe", what: "a change during the decision causes no recheck",
			file: hub + "/subscribe.go",
			text: `	c.change = s.hub.rechecks.number.Load()
	decisions := s.hub.options.Authorization.Authorizer.Authorize(c.ctx, s.claimsInForce(), decided)
`,
			instead: `	decisions := s.hub.options.Authorization.Authorizer.Authorize(c.ctx, s.claimsInForce(), decided)
	c.change = s.hub.rechecks.number.Load()
`,
			tests: of(hub, "TestRecheck_"),
		},
		{
			place: "search for the owner of a connection", what: "the number of all searches never goes down",
			file:    transport + "/passing.go",
			text:    "	p.all--\n",
			instead: "",
			tests:   of(transport, "TestRelay_aPostIsNoUpgrade"),
		},
		{
			place: "losses of several lanes", what: "the notice covers only the last of them",
			file: hub + "/resync.go",
			text: `		if before, ok := byOrganization[loss.Organization]; ok {
			loss = before.with(loss)
		}
		byOrganization`,
			instead: `		byOrganization`,
			tests:   of(hub, "TestLost_"),
		},
	}
}
