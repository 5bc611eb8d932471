package command

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	goredis "github.com/redis/go-redis/v9"
)

// probeScript writes nothing. It shows whether a server runs scripts.
var probeScript = goredis.NewScript("return 1")

// ErrWritesRefused is wrapped by the error of CheckWrites if the server refuses writes now.
var ErrWritesRefused = errors.New("writes refused")

// CheckWrites reports whether a server accepts writes. A server whose memory is full (maxmemory with noeviction) still
// accepts PUBLISH, but neither journals nor functions. A server that has neither functions nor scripts, because its
// operator renamed them, accepts no event of T2. CheckWrites calls rte_writable: Redis refuses to begin a function that
// may write when it refuses writes, and rte_writable writes nothing. A node that may not call functions compares the
// memory in INFO instead. The error wraps ErrWritesRefused, or is another one if that cannot be found out.
func CheckWrites(ctx context.Context, server *goredis.Client) error {
	err := server.FCall(ctx, "rte_writable", nil).Err()
	switch {
	case err == nil:
		return nil
	case Refused(err): // a node that only receives
		return checkMemory(ctx, server)
	case noFunction(err), Unsupported(err):
		if err := probeScript.Run(ctx, server, nil).Err(); Unsupported(err) {
			return fmt.Errorf("%w: the server has neither FCALL and FUNCTION nor EVALSHA and EVAL: %w", ErrWritesRefused, err)
		}
		return checkMemory(ctx, server)
	}
	for _, prefix := range []string{"OOM", "MISCONF", "NOREPLICAS", "READONLY"} {
		if goredis.HasErrorPrefix(err, prefix) {
			return fmt.Errorf("%w: %w", ErrWritesRefused, err)
		}
	}
	return err
}

// checkMemory reports whether the memory of a server is full. A server that denies INFO counts as having room.
func checkMemory(ctx context.Context, server *goredis.Client) error {
	info, err := server.Info(ctx, "memory").Result()
	if Denied(err) {
		return nil
	}
	if err != nil {
		return err
	}
	policy := ""
	var used, overhead, limit int64
	for line := range strings.Lines(info) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch key {
		case "used_memory":
			used, _ = strconv.ParseInt(value, 10, 64)
		case "mem_not_counted_for_evict":
			overhead, _ = strconv.ParseInt(value, 10, 64)
		case "maxmemory":
			limit, _ = strconv.ParseInt(value, 10, 64)
		case "maxmemory_policy":
			policy = value
		}
	}
	if limit > 0 && policy == "noeviction" && used-overhead > limit {
		return fmt.Errorf("%w: %d of %d bytes are used", ErrWritesRefused, used-overhead, limit)
	}
	return nil
}
