package main

import (
	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/hub"
)

// SnapshotsConfig says who gets the last state of what it subscribes to.
type SnapshotsConfig struct {
	Mode        string
	MemoryBytes int
}

// The modes of snapshots.
const (
	snapshotsOff    = "off"
	snapshotsOptIn  = "opt-in"
	snapshotsAlways = "always"
)

// memory is what the backplane may keep; negative: nothing.
func (c *SnapshotsConfig) memory() int {
	if c.Mode == snapshotsOff || c.MemoryBytes == 0 {
		return -1
	}
	return c.MemoryBytes
}

// source is where the hub finds last states; nil: clients get none.
func (c *SnapshotsConfig) source(b backplane.Backplane) hub.Snapshots {
	if c.Mode == snapshotsOff {
		return nil
	}
	return b
}
