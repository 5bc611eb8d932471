package memory_test

import (
	"testing"
	"testing/fstest"

	"github.com/rte-server/rte-server/internal/memory"
)

func TestFindGroup(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		limit int64 // 0: no group
		used  int64
	}{
		"no groups": {files: map[string]string{}},
		"version 2, of a container": {
			files: map[string]string{
				"proc/self/cgroup":             "0::/\n",
				"sys/fs/cgroup/memory.max":     "134217728\n",
				"sys/fs/cgroup/memory.current": "100000000\n",
				"sys/fs/cgroup/memory.stat":    "anon 1\ninactive_file 30000000\nactive_file 5\n",
			},
			limit: 128 << 20, used: 70_000_000,
		},
		"version 2, no limit": {
			files: map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"},
		},
		"version 2, of a service": {
			files: map[string]string{
				"proc/self/cgroup": "0::/system.slice/rte.service\n",
				"sys/fs/cgroup/system.slice/rte.service/memory.max":     "2000\n",
				"sys/fs/cgroup/system.slice/rte.service/memory.current": "7\n",
				"sys/fs/cgroup/system.slice/memory.max":                 "3000\n",
			},
			limit: 2000, used: 7,
		},
		"version 2, lower above": {
			files: map[string]string{
				"proc/self/cgroup":                         "0::/a/b\n",
				"sys/fs/cgroup/a/b/memory.max":             "max\n",
				"sys/fs/cgroup/a/memory.max":               "1000\n",
				"sys/fs/cgroup/a/memory.current":           "9\n",
				"sys/fs/cgroup/memory.max":                 "5000\n",
				"sys/fs/cgroup/memory.limit_in_bytes":      "1\n",
				"sys/fs/cgroup/memory/memory.limit_in_byt": "1\n",
			},
			limit: 1000, used: 9,
		},
		"version 1, path of the host": {
			files: map[string]string{
				"proc/self/cgroup":                           "12:cpu,cpuacct:/docker/1\n11:memory:/docker/1\n0::/system.slice\n",
				"sys/fs/cgroup/memory/memory.limit_in_bytes": "268435456\n",
				"sys/fs/cgroup/memory/memory.usage_in_bytes": "5000\n",
				"sys/fs/cgroup/memory/memory.stat":           "inactive_file 1\ntotal_inactive_file 1000\n",
			},
			limit: 256 << 20, used: 4000,
		},
		"version 1, no limit": {
			files: map[string]string{
				"proc/self/cgroup":                           "11:memory:/\n",
				"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
			},
		},
		"path out of the mount": {
			files: map[string]string{
				"proc/self/cgroup": "0::/../../etc\n", "sys/fs/cgroup/memory.max": "1000\n", "sys/fs/cgroup/memory.current": "1\n",
			},
			limit: 1000, used: 1,
		},
		"malformed": {
			files: map[string]string{"proc/self/cgroup": "memory\n:\n0:\n", "sys/fs/cgroup/memory.max": "1000\n"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := fstest.MapFS{}
			for path, text := range test.files {
				root[path] = &fstest.MapFile{Data: []byte(text)}
			}
			g := memory.FindGroup(root)
			if (g != nil) != (test.limit != 0) {
				t.Fatalf("group %+v, want the limit %d", g, test.limit)
			}
			if g == nil {
				return
			}
			if used, ok := g.Used(); g.Limit != test.limit || used != test.used || !ok {
				t.Errorf("limit %d, used %d %v; want %d and %d", g.Limit, used, ok, test.limit, test.used)
			}
		})
	}
}

func TestGroup_withoutUse(t *testing.T) {
	root := fstest.MapFS{
		"proc/self/cgroup":         &fstest.MapFile{Data: []byte("0::/\n")},
		"sys/fs/cgroup/memory.max": &fstest.MapFile{Data: []byte("1000\n")},
	}
	if used, ok := memory.FindGroup(root).Used(); ok {
		t.Errorf("used %d", used)
	}
}
