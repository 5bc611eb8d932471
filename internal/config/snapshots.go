package config

// Snapshots says who gets the last state of what it subscribes to.
type Snapshots struct {
	Mode        string
	MemoryBytes int
}

// The modes of snapshots.
const (
	SnapshotsOff    = "off"
	SnapshotsOptIn  = "opt-in"
	SnapshotsAlways = "always"
)

// Memory is what the backplane may keep; negative: nothing.
func (c *Snapshots) Memory() int {
	if c.Mode == SnapshotsOff || c.MemoryBytes == 0 {
		return -1
	}
	return c.MemoryBytes
}
