package guards

import "slices"

const (
	sequence  = "internal/backplane/sequence"
	backplane = "internal/backplane"
	redis     = "internal/backplane/redis"
	fanout    = "internal/fanout"
	hub       = "internal/hub"
	authz     = "internal/authz"
	tokens    = "internal/authz/token"
	transport = "internal/transport"
	websocket = "internal/transport/websocket"
	protocol  = "internal/transport/hubprotocol"
	relay     = "internal/transport/relay"
	ingest    = "internal/ingest"
	console   = "internal/console"
	registry  = "internal/subscriptions"
)

// guards returns the guards to remove.
func guards() []change {
	return slices.Concat(orderGuards(), redisGuards(), deliveryGuards(), permissionGuards(), edgeGuards())
}

// orderGuards keep the order of a lane, and report what is missing.
func orderGuards() []change {
	const (
		lane   = sequence + "/lane.go"
		repair = sequence + "/repair.go"
	)
	return []change{
		{
			what: "a jump of the numbers is a gap", file: lane,
			text: `case l.counted && m.N > l.last.N+1:`, instead: `case false && l.counted && m.N > l.last.N+1:`,
			tests: all(sequence),
		},
		{
			what: "numbers that go back are a fork", file: lane,
			text: `case l.counted && m.N <= l.last.N:`, instead: `case false && l.counted && m.N <= l.last.N:`,
			tests: all(sequence),
		},
		{
			what: "an event with an old position is a duplicate", file: lane,
			text:    `case m.ID.Compare(l.last.ID) <= 0 && !l.regress(now, m):`,
			instead: `case false && m.ID.Compare(l.last.ID) <= 0 && !l.regress(now, m):`,
			tests:   all(sequence),
		},
		{
			what: "an event with a known Id is a duplicate", file: lane,
			text:    `if !l.ids.add(l.ids.key(&m.Event), l.at(now)) && m.Event.ID != (events.ID{}) {`,
			instead: `if !l.ids.add(l.ids.key(&m.Event), l.at(now)) && m.Event.ID != (events.ID{}) && false {`,
			tests:   all(sequence),
		},
		{
			what: "an Id is kept for its time", file: sequence + "/ids.go",
			text: `if at-oldest.at < ringSpan && len(s.ring) < ringLast {`, instead: `if false {`,
			tests: all(sequence),
		},
		{
			what: "messages behind a gap are held back", file: lane,
			text: `if l.repair != nil {`, instead: `if false {`,
			tests: all(sequence),
		},
		{
			what: "held messages have a bound", file: lane,
			text:    `if len(l.held) >= heldMessages || l.bytes+m.size() > heldBytes {`,
			instead: `if false {`,
			tests:   all(sequence),
		},
		{
			what: "dropped held messages are read from the journal", file: lane,
			text: `l.repair.countedDropped = true`, instead: `_ = l`,
			tests: all(sequence),
		},
		{
			what: "a page of an earlier repair is ignored", file: repair,
			text:    `if r == nil || r.generation != p.Generation || !r.reading || r.lastPage != nil {`,
			instead: `if r == nil || !r.reading || r.lastPage != nil {`,
			tests:   all(sequence),
		},
		{
			what: "a counter below the known number is a fork", file: repair,
			text:    `if !p.Failed && l.counted && p.Counter < r.countBefore {`,
			instead: `if l.last == before && false {`,
			tests:   all(sequence),
		},
		{
			what: "after a change of the server the journal is read from further back", file: repair,
			text: `r.after = before(r.plain, overlap)`, instead: `r.after = r.plain`,
			tests: all(sequence),
		},
		{
			what: "plain events that may be missing are reported", file: repair,
			text: `if !r.answered && l.plainLoss(now, r) {`, instead: `if false {`,
			tests: all(sequence),
		},
		{
			what: "a fork is reported", file: repair,
			text: "if r.forked {\n\t\tkind = GapFork", instead: "if false {\n\t\tkind = GapFork",
			tests: all(sequence),
		},
		{
			what: "counted events that are missing are reported", file: repair,
			text: `if r.missing > 0 {`, instead: `if false {`,
			tests: all(sequence),
		},
		{
			what: "an old state is not delivered behind a newer one", file: repair,
			text: `if m.N == 0 && l.replaced(h, entries) {`, instead: `if false {`,
			tests: all(sequence),
		},
	}
}

// redisGuards notice that a connection to Redis, or what came over it, cannot be trusted.
func redisGuards() []change {
	return []change{
		{
			what: "a canary that does not arrive ends the epoch", file: redis + "/canary.go",
			text:    `stall.tick(last, last < taken, e.b.options.ProbeInterval) {`,
			instead: `stall.tick(last, last < taken, e.b.options.ProbeInterval) && false {`,
			tests:   of(redis, "TestBackplane_replacesConnectionsByTheirReplies"),
		},
		{
			what: "an answer without a command ends the epoch", file: redis + "/epoch.go",
			text: `return end(endProtocol, "not the answer to a command")`, instead: `return nil`,
			tests: of(redis, "TestBackplane_replacesConnectionsByTheirReplies"),
		},
		{
			what: "a new epoch repairs its lanes", file: redis + "/worker.go",
			text:    "case l.started:\n\t\tl.sequence.Broken(now, n.lapse)",
			instead: "case l.started:",
			tests:   of(redis, "TestFault_connectionsKilled"),
		},
		{
			what: "a Subscribe in doubt is reported as a loss", file: redis + "/worker.go",
			text: `if !n.promised.IsZero() {`, instead: `if false {`,
			tests: of(redis, "TestFault_acquireWhileAway"),
		},
		{
			what: "an event must belong to the organization of its lane", file: backplane + "/receiver.go",
			text: `if err == nil && ev.Organization != organization {`, instead: `if false {`,
			tests: append(all(backplane), of(redis, "TestConformance_plain|TestBackplane_malformed|TestRepair")...),
		},
		{
			what: "so must an entry of a journal", file: backplane + "/receiver.go",
			text:    `if err != nil || ev.Organization != organization {`,
			instead: `if err != nil {`,
			tests:   append(all(backplane), of(redis, "TestConformance_plain|TestBackplane_malformed|TestRepair")...),
		},
	}
}

// deliveryGuards deliver each event once to those who may have it, and bound what waits for a client.
func deliveryGuards() []change {
	const outbox = fanout + "/outbox.go"
	return []change{
		{
			what: "a subscription gets no event from before it", file: fanout + "/pass.go",
			text:    `if p.direct && to.Since < p.first.number {`,
			instead: `if p.direct {`,
			tests:   all(fanout),
		},
		{
			what: "a topic keeps its shard while a subscription begins", file: fanout + "/shard.go",
			text: `if s.additionsBegun.Load() == s.additionsApplied {`, instead: `if true {`,
			tests: all(fanout),
		},
		{
			what: "a shard that was added meanwhile stays", file: registry + "/entry.go",
			text:    `e.shards.CompareAndSwap(version, version&^(1<<shard))`,
			instead: `e.shards.And(^uint64(1 << shard))`,
			tests:   all(registry),
		},
		{
			what: "an expired event is not delivered", file: fanout + "/dispatcher.go",
			text: `if b.expired(now) {`, instead: `if false {`,
			tests: all(fanout),
		},
		{
			what: "a snapshot does not overtake a newer state", file: fanout + "/replay.go",
			text: `case s.watched[b.entry].last[b.key][o.protocol] > r.since:`, instead: `case false:`,
			tests: all(fanout),
		},
		{
			what: "a snapshot ends with its subscription", file: fanout + "/replay.go",
			text:    `case o.replay != r, o.state != outboxOpen, r.removed[b.entry]:`,
			instead: `case o.replay != r, o.state != outboxOpen:`,
			tests:   all(fanout),
		},
		{
			what: "what waits for a client has a bound", file: outbox,
			text:    `if min(o.inFlightBytes, options.WriteBytes)+waiting > options.Bytes || o.exceedsTotal(waiting) {`,
			instead: `if o.exceedsTotal(waiting) {`,
			tests:   all(fanout),
		},
		{
			what: "what waits for all clients has a bound", file: outbox,
			text:    `waiting > options.Bytes || o.exceedsTotal(waiting) {`,
			instead: `waiting > options.Bytes {`,
			tests:   all(fanout),
		},
		{
			what: "what waits for a client has an age", file: outbox,
			text:    `return ok && now.Sub(since) > o.shard.options.Outbox.Age`,
			instead: `return false && ok && now.Sub(since) > o.shard.options.Outbox.Age`,
			tests:   all(fanout),
		},
		{
			what: "a client continues on another socket only without a hole", file: fanout + "/resumption.go",
			text:    `return !r.end.Load() && r.acked.Load()+1 >= r.first.Load() }`,
			instead: `return !r.end.Load() }`,
			tests:   all(fanout, transport),
		},
		{
			what: "what a client has not acknowledged has a bound", file: fanout + "/resumption.go",
			text:    `if r.bytes > s.options.Resume.Bytes || r.bytes > (total-s.resumable.bytes+r.bytes)/freeParts {`,
			instead: `if total < 0 {`,
			tests:   all(fanout),
		},
		{
			what: "a loss reaches the clients of its lane", file: hub + "/resync.go",
			text: `h.losses.add(loss)`, instead: `_ = loss`,
			tests: all(hub),
		},
		{
			what: "a client without notices is closed after a loss", file: hub + "/resync.go",
			text: `case !s.conn.Features().Notices:`, instead: `case false && !s.conn.Features().Notices:`,
			tests: all(hub),
		},
		{
			what: "two losses become one that covers both", file: hub + "/losses.go",
			text: `} else if other.From.Before(l.From) {`, instead: `} else if false {`,
			tests: all(hub),
		},
	}
}

// permissionGuards keep events from those who may not have them.
func permissionGuards() []change {
	const (
		verifier = tokens + "/verifier.go"
		session  = hub + "/session.go"
	)
	return []change{
		{
			what: "a token must be signed", file: verifier,
			text: `if !t.signedBy(keys) {`, instead: `if len(keys) == 0 {`,
			tests: all(tokens),
		},
		{
			what: "a token must be in time", file: verifier,
			text: `if err := v.validator.Validate(p); err != nil {`, instead: `if err := v.validator.Validate(p); false {`,
			tests: all(tokens),
		},
		{
			what: "a token must be for this server", file: verifier,
			text: `if err := v.options.Require.checkAudience(p); err != nil {`, instead: `if err := error(nil); err != nil {`,
			tests: all(tokens),
		},
		{
			what: "a revoked token is refused", file: verifier,
			text:    `if err == nil && v.options.Revocations != nil && v.options.Revocations.Check(claims) {`,
			instead: `if false {`,
			tests:   all(tokens),
		},
		{
			what: "a token revoked meanwhile opens no session", file: hub + "/hub.go",
			text: `if h.options.Authorization.Revoked(claims) {`, instead: `if false {`,
			tests: all(hub),
		},
		{
			what: "a revoked token refreshes no session", file: hub + "/refresh.go",
			text: `if s.hub.options.Authorization.Revoked(claims) {`, instead: `if false {`,
			tests: all(hub),
		},
		{
			what: "a token of another user refreshes no session", file: hub + "/refresh.go",
			text:    `case claims.User != before.User || claims.Organization != before.Organization:`,
			instead: `case false:`,
			tests:   all(hub),
		},
		{
			what: "a revocation ends the sessions of other nodes", file: tokens + "/revocation_shared.go",
			text: "s.add(r)\n\ts.came.Set()", instead: "s.add(r)",
			tests: all(tokens),
		},
		{
			what: "the end of a token ends its connection", file: transport + "/conn.go",
			text: `if expires <= at {`, instead: `if false {`,
			tests: all(transport),
		},
		{
			what: "an entity of another organization is refused", file: authz + "/gate.go",
			text: `case !claims.BelongsTo(e.Organization):`, instead: `case false:`,
			tests: all(authz),
		},
		{
			what: "no rule of the policy means no", file: authz + "/gate.go",
			text: `if p.rule == 0 {`, instead: `if false {`,
			tests: all(authz),
		},
		{
			what: "a change of the policy ends subscriptions", file: hub + "/hub.go",
			text: `others.Go(func() { h.recheck(ctx) })`, instead: `_ = h.recheck`,
			tests: all(hub),
		},
		{
			what: "a change during Subscribe rechecks it", file: session,
			text:    `if len(c.added) > 0 && s.hub.rechecks.number.Load() != c.change {`,
			instead: `if false {`,
			tests:   all(hub),
		},
		{
			what: "no event follows the answer to Unsubscribe", file: fanout + "/shard.go",
			text: `s.release(e, s.table.Remove(e, o))`, instead: `s.registry.Release(e)`,
			tests: all(fanout),
		},
		{
			what: "the items of a call have a bound", file: hub + "/subscribe.go",
			text:    `decided := requests[:min(len(requests), s.hub.limits.Load().Items)]`,
			instead: `decided := requests`,
			tests:   all(hub),
		},
		{
			what: "the subscriptions of a session have a bound", file: hub + "/subscribe.go",
			text: `case len(s.active)+len(topics) >= limit:`, instead: `case limit < 0:`,
			tests: all(hub),
		},
		{
			what: "the subscriptions of an organization have a bound", file: hub + "/quota.go",
			text: `if limit > 0 && q.used[organization] >= limit {`, instead: `if limit < 0 {`,
			tests: all(hub),
		},
	}
}

// edgeGuards refuse what clients, publishers, pages and other programs should not send.
func edgeGuards() []change {
	return []change{
		{
			what: "a page of another origin reads no answer", file: transport + "/cors.go",
			text: `if !allowed.Allows(origin) {`, instead: `if false {`,
			tests: of(transport, "(?i)cors|origin|preflight"),
		},
		{
			what: "a connection token works once", file: transport + "/connections.go",
			text:    `if !inTime || cs.spentLocked(c.id, now) != unused {`,
			instead: `if !inTime {`,
			tests:   all(transport),
		},
		{
			what: "an organization has a quota of connections", file: transport + "/connections.go",
			text: `case cs.organizations.full(o.organization):`, instead: `case false:`,
			tests: of(transport, "(?i)quota"),
		},
		{
			what: "a frame has a bound", file: websocket + "/frame_reader.go",
			text: `if r.remaining > r.MaxFrame {`, instead: `if false {`,
			tests: all(websocket),
		},
		{
			what: "a message has a bound", file: protocol + "/splitter.go",
			text: `if len(s.pending)+n > s.limit {`, instead: `if false {`,
			tests: all(protocol),
		},
		{
			what: "another node must know the secret", file: relay + "/identity.go",
			text:    `if !ok || !slices.ContainsFunc(id.accepted,`,
			instead: `if !ok || false && !slices.ContainsFunc(id.accepted,`,
			tests:   all(relay),
		},
		{
			what: "a routing field may be there once", file: "internal/events/decode.go",
			text: `if r.values[f] != nil {`, instead: `if false {`,
			tests: all("internal/events"),
		},
		{
			what: "a published event is validated", file: ingest + "/take.go",
			text: `if errs[i] = err; err == nil {`, instead: `if errs[i] = err; true {`,
			tests: all(ingest),
		},
		{
			what: "a request with a known Idempotency-Key publishes nothing", file: ingest + "/publish.go",
			text: `if before.Report.Line == 0 {`, instead: `if false {`,
			tests: all(ingest),
		},
		{
			what: "two requests with one Idempotency-Key do not run together", file: ingest + "/publish.go",
			text: `case running:`, instead: `case running && false:`,
			tests: all(ingest),
		},
		{
			what: "the operator port without a token answers to localhost only", file: console + "/access.go",
			text: `if !loopback.Is(r.Host) {`, instead: `if false && !loopback.Is(r.Host) {`,
			tests: all(console),
		},
	}
}
