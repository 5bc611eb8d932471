package command

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"
	"strings"

	goredis "github.com/redis/go-redis/v9"
)

// functionsVersion must grow with every change of rte.lua: nodes replace a library that is older.
const functionsVersion = 4

//go:embed rte.lua
var publishBody string

// Functions returns the library of Redis Functions that publishers call, for FUNCTION LOAD. Nodes load it by
// themselves if their user is permitted to.
func Functions() string {
	return "#!lua name=rte\n-- " + versionText() + "\n" + publishBody + `
redis.register_function('rte_publish', publish)
redis.register_function{function_name='rte_version', flags={'no-writes'},
  callback=function() return ` + strconv.Itoa(functionsVersion) + ` end}
redis.register_function('rte_writable', function() return 1 end)
`
}

// Script returns rte_publish for EVALSHA, with the same keys and arguments, for Redis without Functions (before 7.0).
func Script() string {
	return "-- " + versionText() + "\n" + publishBody + "return publish(KEYS, ARGV)\n"
}

func versionText() string { return "rte-server, version " + strconv.Itoa(functionsVersion) }

// LoadFunctions loads the library into every server that carries lanes, whatever version they have.
func (c *Client) LoadFunctions(ctx context.Context) error {
	if c.options.Cluster != nil {
		return c.options.Cluster.ForEachMaster(ctx, func(ctx context.Context, server *goredis.Client) error {
			return server.FunctionLoadReplace(ctx, Functions()).Err()
		})
	}
	for _, s := range c.options.Servers {
		if err := s.Client.FunctionLoadReplace(ctx, Functions()).Err(); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	return nil
}

// noFunction reports whether the server lacks the library, or its library lacks the function.
func noFunction(err error) bool {
	return err != nil && strings.Contains(err.Error(), "Function not found")
}

// ProvideFunctions loads the library into a server that does not have this version of it. The library is part of the
// server's data: a server that restarts empty has lost it.
func ProvideFunctions(ctx context.Context, server *goredis.Client) error {
	library, err := LibraryOf(ctx, server)
	if err == nil && library.Outdated() {
		err = server.FunctionLoadReplace(ctx, Functions()).Err()
	}
	return err
}
