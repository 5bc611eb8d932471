package node

import (
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/rte-server/rte-server/internal/config"
)

func TestNewMemory(t *testing.T) {
	container := fstest.MapFS{
		"proc/self/cgroup":             &fstest.MapFile{Data: []byte("0::/\n")},
		"sys/fs/cgroup/memory.max":     &fstest.MapFile{Data: []byte("1000000000\n")},
		"sys/fs/cgroup/memory.current": &fstest.MapFile{Data: []byte("960000000\n")},
	}
	for name, test := range map[string]struct {
		configured int
		env        string
		root       fs.FS
		limit      int
		source     string
		short      bool
	}{
		"container":            {config.MemoryAuto, "", container, 900_000_000, "cgroup", true},
		"no container":         {config.MemoryAuto, "", fstest.MapFS{}, 0, "none", false},
		"none":                 {0, "", container, 0, "memory.limit", false},
		"as configured":        {1 << 40, "", container, 1 << 40, "memory.limit", false},
		"above what there is":  {1 << 10, "", fstest.MapFS{}, 1 << 10, "memory.limit", true},
		"GOMEMLIMIT, no limit": {config.MemoryAuto, "off", container, 0, "GOMEMLIMIT", false},
	} {
		t.Run(name, func(t *testing.T) {
			getenv := func(string) string { return test.env }
			m := newMemory(&config.Memory{Limit: test.configured}, getenv, test.root)
			if m.limit != test.limit || m.source != test.source || m.guard.Short() != test.short {
				t.Errorf("limit %d by %s, short: %v; want %+v", m.limit, m.source, m.guard.Short(), test)
			}
		})
	}
}
