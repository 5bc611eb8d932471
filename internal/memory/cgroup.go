package memory

import (
	"bytes"
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"
)

// Group is a control group of Linux that bounds the memory of the process: that of its container, as a rule.
type Group struct {
	// Limit is the memory of the group, in bytes. The kernel ends the process beyond it.
	Limit int64

	root    fs.FS
	current string // path of the file with the memory that is in use
	stat    string // path of the file with its parts
	cache   string // name of the part that the kernel can take back
}

// version has the names of the files of a version of control groups.
type version struct{ mount, limit, current, cache string }

var (
	version1 = version{
		"sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file",
	}
	version2 = version{"sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"}
)

// unlimited is above every limit. Version 1 writes a number close to math.MaxInt64 for none.
const unlimited = math.MaxInt64 >> 8

// FindGroup returns the group with the lowest limit among the one of the process and those above it. root is the root
// of the file system. nil: no group has a limit, or the system has no groups.
func FindGroup(root fs.FS) *Group {
	membership, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return nil
	}
	var lowest *Group
	for line := range strings.Lines(string(membership)) {
		// hierarchy-ID:controllers:path, see cgroups(7)
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, dir, ok := strings.Cut(rest, ":")
		if !ok {
			continue
		}
		v := version2
		if controllers != "" {
			if !hasController(controllers, "memory") {
				continue
			}
			v = version1
		}
		if g := v.lowest(root, dir); g != nil && (lowest == nil || g.Limit < lowest.Limit) {
			lowest = g
		}
	}
	return lowest
}

func hasController(list, name string) bool {
	for controller := range strings.SplitSeq(list, ",") {
		if controller == name {
			return true
		}
	}
	return false
}

// lowest returns the group with the lowest limit among that of a path and those above it. Inside a container the path
// may be that of the host, which is not there: then the root of the mount is the group of the container.
func (v version) lowest(root fs.FS, dir string) (lowest *Group) {
	for dir = path.Clean("/" + dir); ; dir = path.Dir(dir) {
		base := path.Join(v.mount, dir)
		if limit, ok := readNumber(root, path.Join(base, v.limit)); ok && limit < unlimited {
			if lowest == nil || limit < lowest.Limit {
				lowest = &Group{
					Limit: limit, root: root, cache: v.cache,
					current: path.Join(base, v.current), stat: path.Join(base, "memory.stat"),
				}
			}
		}
		if dir == "/" {
			return lowest
		}
	}
}

// Used returns the memory of the group that the kernel cannot take back. It includes the buffers of sockets. false: it
// cannot be read.
func (g *Group) Used() (int64, bool) {
	current, ok := readNumber(g.root, g.current)
	if !ok {
		return 0, false
	}
	stat, err := fs.ReadFile(g.root, g.stat)
	if err != nil {
		return current, true
	}
	for line := range bytes.Lines(stat) {
		if name, value, _ := bytes.Cut(bytes.TrimSpace(line), []byte(" ")); string(name) == g.cache {
			if cache, err := strconv.ParseInt(string(value), 10, 64); err == nil {
				current -= min(cache, current)
			}
			break
		}
	}
	return current, true
}

// readNumber reads a file with one number. false: there is no such file, or it has a word such as max.
func readNumber(root fs.FS, name string) (int64, bool) {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64)
	return n, err == nil && n >= 0
}
