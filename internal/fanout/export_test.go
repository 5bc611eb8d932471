package fanout

// OnYield makes shards call f where they yield their processor.
func (o *Options) OnYield(f func()) { o.yield = f }

// Yields reports whether shards yield their processor.
func (o Options) Yields() bool { return o.complete() == nil && o.yield != nil }
