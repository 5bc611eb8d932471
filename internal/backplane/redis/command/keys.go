package command

import (
	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/events"
)

// The keys of a lane, with the prefix of the lane. The name of the lane is the hash tag: in a cluster, the keys are on
// the server of the lane's channel.

// JournalKey is the stream with the latest events of a lane.
func JournalKey(lane string) string { return backplane.PrefixOf(lane) + "j:{" + lane + "}" }

// CounterKey is the number of events of a lane that were ever counted.
func CounterKey(lane string) string { return backplane.PrefixOf(lane) + "n:{" + lane + "}" }

// StateKey is the state of a topic: a string or, if the topic can have several states, a hash.
func StateKey(lane string, d *events.Definition, t events.Topic) string {
	return backplane.PrefixOf(lane) + "s:{" + lane + "}:" + d.Kind.String() + ":" + t.Entity.String() + ":" + d.Name
}

// documentKey is the directory document of an entity.
func (c *Client) documentKey(id events.ID) string {
	return c.options.Layout.Named("rte:d:e:" + id.String())
}
