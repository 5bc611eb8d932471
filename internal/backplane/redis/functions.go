package redis

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"strings"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/events"
)

// functionsVersion must grow with every change of rte.lua: a server that has an older library gets this one.
const functionsVersion = 2

//go:embed rte.lua
var publishBody string

// Functions is the library of Redis Functions that publishers call, for FUNCTION LOAD. Nodes load it by themselves if
// their user may.
func Functions() string {
	return "#!lua name=rte\n-- " + versionText() + "\n" + publishBody + `
redis.register_function('rte_publish', publish)
redis.register_function{function_name='rte_version', flags={'no-writes'},
  callback=function() return ` + strconv.Itoa(functionsVersion) + ` end}
`
}

// Script is rte_publish for EVALSHA, with the same keys and arguments, where Redis has no Functions (before 7.0).
func Script() string {
	return "-- " + versionText() + "\n" + publishBody + "return publish(KEYS, ARGV)\n"
}

func versionText() string { return "rte-server, version " + strconv.Itoa(functionsVersion) }

// LoadFunctions loads the library into every server that carries lanes, whatever version they have. o is that of New; its
// Catalog and Sink are not used.
func LoadFunctions(ctx context.Context, o Options) error {
	o.Catalog, o.Sink, o.Registerer = events.Builtin(), noSink{}, nil
	b, err := New(o)
	if err != nil {
		return err
	}
	return errors.Join(b.loadFunctions(ctx), b.close())
}

// noSink is the sink of a Backplane that does not run.
type noSink struct{ backplane.Sink }

func (b *Backplane) loadFunctions(ctx context.Context) error {
	load := func(ctx context.Context, server *goredis.Client) error {
		return server.FunctionLoadReplace(ctx, Functions()).Err()
	}
	if b.cluster != nil {
		return b.cluster.client.ForEachMaster(ctx, load)
	}
	for _, k := range b.shards {
		if err := k.commands.FunctionLoadReplace(ctx, Functions()).Err(); err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
	}
	return nil
}

// publishScript is Script for go-redis.
func publishScript() *goredis.Script { return goredis.NewScript(Script()) }

// noFunction says that a server has no library, or none with this function.
func noFunction(err error) bool {
	return err != nil && strings.Contains(err.Error(), "Function not found")
}

// noFunctions says that a server knows no Functions at all.
func noFunctions(err error) bool {
	return err != nil && strings.Contains(strings.ToLower(err.Error()), "unknown command")
}

// provide loads the library into a server that does not have this version of it. It is part of the server's data: an
// empty restart has lost it.
func (b *Backplane) provide(ctx context.Context, server *goredis.Client) {
	version, err := server.FCallRO(ctx, "rte_version", nil).Int()
	if err == nil && version >= functionsVersion || noFunctions(err) {
		return
	}
	if err == nil || noFunction(err) {
		err = server.FunctionLoadReplace(ctx, Functions()).Err()
	}
	if err != nil {
		b.log.Warn("functions not loaded", func() []zap.Field { return []zap.Field{zap.Error(err)} })
	}
}
