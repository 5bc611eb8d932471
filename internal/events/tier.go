package events

// Tier is how an event came to this node.
type Tier uint8

// The tiers of docs/redis.md, and the ways that a node gets an event without a message of its own.
const (
	// TierRepair: the node read the event from the journal, or got it from another node, after it had missed it.
	TierRepair Tier = iota
	// TierPlain is T0 or T1: a message without a number.
	TierPlain
	// TierCounted is T2: a message with a number.
	TierCounted
	// TierLocal: published within this process.
	TierLocal
	numTiers
)

// String returns the name of the tier.
func (t Tier) String() string {
	return [numTiers]string{"repair", "T0 or T1", "T2", "local"}[t]
}
