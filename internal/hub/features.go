package hub

import "strings"

// Features are the extensions that a client asked for. A stock client asks for none and sees no difference.
type Features struct {
	// Notices: the client receives notices about its subscriptions, and codes and trace ids of refusals.
	Notices bool
	// Snapshot: the client receives the last known state of what it subscribes to.
	Snapshot bool
	// Limits: the first message to the client states the limits of its connection.
	Limits bool
}

// ParseFeatures reads the query parameter features of the hub's URL: names in any case, separated by commas. It ignores
// unknown names, which belong to other versions.
func ParseFeatures(text string) (f Features) {
	for name := range strings.SplitSeq(text, ",") {
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "notices":
			f.Notices = true
		case "snapshot":
			f.Snapshot = true
		case "limits":
			f.Limits = true
		}
	}
	return f
}

// Names returns the names of the features that the client asked for.
func (f Features) Names() (names []string) {
	if f.Notices {
		names = append(names, "notices")
	}
	if f.Snapshot {
		names = append(names, "snapshot")
	}
	if f.Limits {
		names = append(names, "limits")
	}
	return names
}
