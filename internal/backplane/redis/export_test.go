package redis

// Slot is the slot of a channel.
func Slot(channel string) int { return slot(channel) }

// Serve has a channel subscribed that is not a lane of an organization.
func (b *Backplane) Serve(channel string, handle func(payload []byte)) {
	b.index.subscribeChannel(channel, handle, nil)
}
