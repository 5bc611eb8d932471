package fanout

// OnYield makes shards call f where they yield their processor.
func (o *Options) OnYield(f func()) { o.yield = f }

// Yields reports whether shards yield their processor.
func (o Options) Yields() bool { return o.complete() == nil && o.yield != nil }

// AlwaysShort makes shards believe that their processor is always as short as can be.
func (o *Options) AlwaysShort() { o.shortage = func(*utilization) float64 { return 1 } }
