package command

import "github.com/rte-server/rte-server/internal/events"

// The keys of a lane. The name of the lane is the hash tag: in a cluster, the keys are on the server of the lane's
// channel.

// JournalKey is the stream with the latest events of a lane.
func JournalKey(lane string) string { return "rte:j:{" + lane + "}" }

// CounterKey is the number of events of a lane that were ever counted.
func CounterKey(lane string) string { return "rte:n:{" + lane + "}" }

// StateKey is the state of a topic: a string or, if the topic can have several states, a hash.
func StateKey(lane string, d *events.Definition, t events.Topic) string {
	return "rte:s:{" + lane + "}:" + d.Kind.String() + ":" + t.Entity.String() + ":" + d.Name
}

// documentKey is the directory document of an entity.
func documentKey(id events.ID) string { return "rte:d:e:" + id.String() }
