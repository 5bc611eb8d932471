package fanout

// OnYield makes shards call f where they yield their processor.
func (o *Options) OnYield(f func()) { o.yield = f }
