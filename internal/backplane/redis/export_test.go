package redis

// Slot returns the slot of a channel.
func Slot(channel string) int { return slot(channel) }

// Serve subscribes a channel that is not the lane of an organization.
func (b *Backplane) Serve(channel string, handle func(payload []byte)) {
	b.index.subscribeChannel(channel, handle, nil)
}
