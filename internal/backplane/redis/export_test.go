package redis

// Slot is the slot of a channel.
func Slot(channel string) int { return slot(channel) }
