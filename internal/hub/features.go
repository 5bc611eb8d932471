package hub

import "strings"

// Features are the extensions that a client asked for. A stock client has none of them, and sees no difference.
type Features struct {
	// Notices: the client is told what happens to its subscriptions, and why.
	Notices bool
	// Snapshot: the client gets the last known state of what it subscribes to.
	Snapshot bool
}

// ParseFeatures reads the query parameter features of the hub's URL: names in any case, separated by commas. Names that
// are not known are those of another version, and do nothing.
func ParseFeatures(text string) (f Features) {
	for name := range strings.SplitSeq(text, ",") {
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "notices":
			f.Notices = true
		case "snapshot":
			f.Snapshot = true
		}
	}
	return f
}

// Names are those of the features that were asked for.
func (f Features) Names() (names []string) {
	if f.Notices {
		names = append(names, "notices")
	}
	if f.Snapshot {
		names = append(names, "snapshot")
	}
	return names
}
