package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"

	goredis "github.com/redis/go-redis/v9"

	"github.com/rte-server/rte-server/internal/backplane/redis/command"
	"github.com/rte-server/rte-server/internal/diagnosis"
	"github.com/rte-server/rte-server/internal/events"
)

// lane returns the lane of an organization that does not exist.
func (d *serverDiagnosis) lane() string { return d.o.Layout.Lane(events.ID{}, events.ID{}) }

// receivingCommands are the commands of a receiving node, with harmless arguments.
func (d *serverDiagnosis) receivingCommands() [][]any {
	journal, named := command.JournalKey(d.lane()), d.o.Layout.Named
	commands := [][]any{
		{"GET", command.CounterKey(d.lane())},
		{"XREAD", "COUNT", 1, "STREAMS", journal, "0"},
		{"XRANGE", journal, "-", "+", "COUNT", 1},
		{"XREVRANGE", journal, "+", "-", "COUNT", 1},
		{"HVALS", journal + ":none"},
		{"MGET", named("rte:d:e:" + events.ID{}.String())},
		{"ZSCAN", named("rte:c:revoked"), 0},
		{"ZADD", named("rte:c:revoked"), "XX", 1, "no revocation"},
		{"ZREMRANGEBYSCORE", named("rte:c:revoked"), 1, 0},
	}
	if d.o.Cluster {
		commands = append(commands, []any{"CLUSTER", "NODES"}, []any{"CLUSTER", "SLOTS"})
	}
	return commands
}

// rights tries the commands of a node that receives.
func (d *serverDiagnosis) rights(ctx context.Context) (ok bool) {
	pipe := d.client.Pipeline()
	commands := d.receivingCommands()
	results := make([]*goredis.Cmd, len(commands))
	for i, c := range commands {
		results[i] = pipe.Do(ctx, c...)
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	var refused, renamed []string
	for i, result := range results {
		name := fmt.Sprint(commands[i][0])
		switch err := result.Err(); {
		case err == nil, errors.Is(err, goredis.Nil), goredis.HasErrorPrefix(err, "MOVED"):
		case goredis.HasErrorPrefix(err, "READONLY"): // the role has its own finding
		case goredis.HasErrorPrefix(err, "NOPERM"):
			refused = append(refused, name+" on "+fmt.Sprint(commands[i][1]))
		case command.Unsupported(err):
			renamed = append(renamed, name)
		default:
			d.add(diagnosis.Failed, "rights", name+": "+err.Error(), "look at the log of Redis")
			return false
		}
	}
	if len(refused) > 0 {
		d.add(diagnosis.Failed, "rights", "the user may not: "+strings.Join(refused, ", "),
			"grant it the rules of the user \"node\" (docs/redis.md, access control)")
	}
	if len(renamed) > 0 {
		d.add(diagnosis.Failed, "rights", "the server does not know "+strings.Join(renamed, ", "),
			"undo rename-command in the configuration of Redis, or use a later version")
	}
	if len(refused)+len(renamed) > 0 {
		return len(refused) == 0
	}
	d.add(diagnosis.OK, "rights", "the user may read and share revocations under "+d.o.Layout.Named("rte:*"), "")
	return true
}

// publishRights returns the commands for publishing that the user of a script may not use. It executes none of them.
// KEYS: a journal. A server before 7.0 cannot say.
var publishRights = goredis.NewScript(`
if not redis.acl_check_cmd then return {'?'} end
local lacks = {}
local function try(...)
  local known, allowed = pcall(redis.acl_check_cmd, ...)
  if not known or not allowed then table.insert(lacks, (select(1, ...))) end
end
local key = KEYS[1]
try('INCR', key) try('XADD', key, '*', 'a', 'b') try('EXPIRE', key, '1') try('SET', key, 'a')
try('HSET', key, 'a', 'b') try('HDEL', key, 'a') try('HLEN', key) try('HEXISTS', key, 'a') try('HGETALL', key)
try('TTL', key) try(ARGV[1], ARGV[2], 'a') try('FCALL', 'rte_publish', '1', key)
return lacks
`)

// publishing checks the needs of POST /api/publish: rights, the library, and a server that accepts writes.
func (d *serverDiagnosis) publishing(ctx context.Context) {
	word, lane := "PUBLISH", d.lane()
	if d.o.Cluster {
		word = "SPUBLISH"
	}
	key := command.JournalKey(lane)
	if d.part.owns != nil { // the key of a script must belong to the server
		key = d.ownChannel()
	}
	lacks, err := publishRights.Run(ctx, d.client, []string{key}, word, lane).StringSlice()
	const next = "grant it the rules of the user \"node\" (docs/redis.md), or publish through another user"
	switch {
	case command.Unsupported(err):
		d.add(diagnosis.Warning, "publishing", "the server knows no EVAL, so the rights are unknown", "")
	case command.Refused(err):
		d.add(diagnosis.Warning, "publishing", "the user may only receive: "+err.Error(), next)
		return
	case err != nil && !isReply(err):
		d.add(diagnosis.Failed, "publishing", err.Error(), "look at the log of Redis")
		return
	case err != nil: // such as OOM: CheckWrites reports it
	case len(lacks) == 1 && lacks[0] == "?":
		d.add(diagnosis.OK, "publishing", "the server is older than 7.0 and cannot say what the user may", "")
	case len(lacks) > 0:
		d.add(diagnosis.Warning, "publishing", "the user may not publish: it lacks "+strings.Join(lacks, ", "), next)
	default:
		d.add(diagnosis.OK, "publishing", "the user may publish", "")
	}
	d.library(ctx)
	if err := command.CheckWrites(ctx, d.client); err != nil {
		d.add(diagnosis.Failed, "writes", err.Error(), "give Redis memory, a working disk or its replicas")
	}
}

// mayLoad reports whether the user may load functions. It loads none.
var mayLoad = goredis.NewScript(`
local known, allowed = pcall(redis.acl_check_cmd, 'FUNCTION', 'LOAD', 'a')
return known and allowed and 1 or 0
`)

// library checks the function library.
func (d *serverDiagnosis) library(ctx context.Context) {
	library, err := command.LibraryOf(ctx, d.client)
	switch {
	case err != nil:
		d.add(diagnosis.Warning, "functions", err.Error(), "grant FCALL_RO, so that nodes can keep the library up to date")
		return
	case library.Unsupported:
		d.add(diagnosis.OK, "functions", "the server has none, nodes publish by EVALSHA", "")
		return
	case !library.Outdated():
		d.add(diagnosis.OK, "functions", fmt.Sprintf("version %d of the library", library.Version), "")
		return
	}
	what := "the library is missing"
	if library.Version > 0 {
		what = fmt.Sprintf("version %d of the library is old", library.Version)
	}
	key := d.ownChannel()
	if allowed, err := mayLoad.Run(ctx, d.client, []string{key}).Bool(); err == nil && allowed {
		d.add(diagnosis.OK, "functions", what+", the first node loads it", "")
		return
	}
	d.add(diagnosis.Warning, "functions", what+", and the user may not load it",
		"rte-server redis functions --load, as a user who may")
}
