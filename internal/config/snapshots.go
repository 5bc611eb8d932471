package config

// Snapshots selects the clients that get the last states of new subscriptions.
type Snapshots struct {
	Mode        string
	MemoryBytes int
}

// The values of snapshots.mode.
const (
	SnapshotsOff    = "off"
	SnapshotsOptIn  = "opt-in"
	SnapshotsAlways = "always"
)

// Memory returns how many bytes of states the backplane may keep; negative for none.
func (c *Snapshots) Memory() int {
	if c.Mode == SnapshotsOff || c.MemoryBytes == 0 {
		return -1
	}
	return c.MemoryBytes
}
