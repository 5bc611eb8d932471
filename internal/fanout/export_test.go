package fanout

// OnOffer has f called where a shard offers its processor.
func (o *Options) OnOffer(f func()) { o.offer = f }
