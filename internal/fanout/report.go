package fanout

// report adds the counts of the turn to the metrics.
func (s *Shard) report() {
	c, m := &s.counts, s.metrics
	if c.writes > 0 {
		m.writes.Add(float64(c.writes))
		m.bytes.Add(float64(c.bytes))
	}
	if c.deliveries > 0 {
		m.deliveries.Add(float64(c.deliveries))
	}
	m.delays.take(&c.delays)
	m.ages.take(&c.ages)
	if c.ahead > 0 {
		m.ahead.Add(float64(c.ahead))
	}
	for reason, n := range c.dropped {
		if n > 0 {
			m.dropped[reason].Add(float64(n))
		}
	}
	*c = counts{}
	if s.waitingBytes != s.reportedBytes {
		m.waitingBytes.Add(float64(s.waitingBytes - s.reportedBytes))
		s.reportedBytes = s.waitingBytes
	}
	if s.sizes != s.reportedSizes {
		for i := range m.sizes {
			m.sizes[i].Add(float64(s.sizes[i] - s.reportedSizes[i]))
		}
		s.reportedSizes = s.sizes
	}
	if s.fullOutboxes != s.reportedOutboxes {
		m.full.Add(float64(s.fullOutboxes - s.reportedOutboxes))
		s.reportedOutboxes = s.fullOutboxes
	}
	s.resumable.report(m)
}
