package node

import (
	"io/fs"
	"math"
	"runtime"
	"runtime/debug"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/config"
	"github.com/rte-server/rte-server/internal/memory"
)

// groupTenths is the part of a container's memory that the Go runtime may take, in tenths. The rest is for the buffers
// of sockets and what the kernel counts besides.
const groupTenths = 9

// nodeMemory is the memory that a node may take.
type nodeMemory struct {
	limit  int    // of the Go runtime; 0: none
	source string // of limit
	guard  *memory.Guard
}

// newMemory resolves memory.limit. root is the root of the file system.
func newMemory(c *config.Memory, getenv func(string) string, root fs.FS) nodeMemory {
	m := nodeMemory{limit: c.Limit, source: "memory.limit"}
	var group *memory.Group
	switch {
	case getenv("GOMEMLIMIT") != "":
		m.limit, m.source = 0, "GOMEMLIMIT"
		if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
			m.limit = int(limit)
		}
	case c.Limit == config.MemoryAuto:
		m.limit, m.source = 0, "none"
		if group = memory.FindGroup(root); group != nil {
			m.limit, m.source = int(group.Limit/10*groupTenths), "cgroup"
		}
	}
	m.guard = memory.NewGuard(int64(m.limit), group)
	return m
}

// log writes what the process may use, so that an operator sees what a container's limits have become.
func (m *nodeMemory) log(logger *zap.Logger) {
	logger.Info("resources", zap.Int("processors", runtime.GOMAXPROCS(0)),
		zap.Int("memory_limit", m.limit), zap.String("memory_limit_source", m.source))
}
