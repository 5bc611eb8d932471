package config

import "errors"

// Memory configures the garbage collector.
type Memory struct {
	GCPercent int // 0: the node decides
	Limit     int // MemoryAuto: that of the container; 0: none
}

// MemoryAuto is the Memory.Limit that follows the container.
const MemoryAuto = -1

// addMemory adds the keys of memory.
func (k *keyList) addMemory(c *Memory) {
	k.count(&c.GCPercent, "memory.gc_percent", 0,
		"growth of memory between two garbage collections, as GOGC, which has precedence; 0: 25 while the "+
			"node allocates little, up to 200 while many clients connect at once")
	c.Limit = MemoryAuto
	k.flags.Var((*memoryLimit)(&c.Limit), "memory.limit",
		"memory that the process tries to stay below by collecting more often, as GOMEMLIMIT, which has precedence; near "+
			"it further clients get 503; auto: nine tenths of the memory of the container (cgroup version 1 or 2), no "+
			"limit without one; 0: no limit")
}

// memoryLimit is a number of bytes or the word auto.
type memoryLimit size

func (v *memoryLimit) Set(s string) error {
	if s == "auto" {
		*v = MemoryAuto
		return nil
	}
	if (*size)(v).Set(s) != nil {
		return errors.New("must be auto, or a number of bytes, such as 512MiB or 2GiB, at most 1024GiB")
	}
	return nil
}

func (v *memoryLimit) String() string {
	if *v == MemoryAuto {
		return "auto"
	}
	return (*size)(v).String()
}
func (v *memoryLimit) Type() string { return "auto|bytes" }

const (
	// defaultConnections is the default of limits.connections: a bound, and no promise.
	defaultConnections = 100_000
	// clientBytes is the memory of a client without subscriptions while it connects. 12,000 took 17 KB each, of which 5 KB
	// stay.
	clientBytes = 5 << 10
	// smallestLimit is below what a node without clients takes.
	smallestLimit = 32 << 20
)

// addMemory warns of limits of memory that a full node reaches.
func (w *warnings) addMemory(c *Config) {
	limit := c.Memory.Limit
	w.add(limit > 0 && limit < smallestLimit, "memory.limit", "a node without clients takes more than %s", bytesOf(limit))
	clients := c.Limits.Connections * clientBytes
	w.add(limit >= smallestLimit && limit < clients && c.Limits.Connections != defaultConnections, "memory.limit",
		"limits.connections (%d) take at least %s without any subscription; clients get 503 before", c.Limits.Connections,
		bytesOf(clients))
}
