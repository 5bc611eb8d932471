package scenarios

// Quick returns the scenario reduced to a few seconds, to test that everything works. Its figures have no meaning.
func (s Scenario) Quick() Scenario {
	const (
		maxConnections = 40
		maxSeconds     = 0.8
		maxRate        = 2000
	)
	s.TimeoutSeconds = min(s.TimeoutSeconds, 40)
	s.Runs = 1
	groups := make([]Group, len(s.Groups))
	for i, g := range s.Groups {
		g.Connections = min(g.Connections, maxConnections)
		groups[i] = g
	}
	s.Groups = groups
	steps := make([]Step, len(s.Steps))
	for i, step := range s.Steps {
		if step.Rest != nil {
			rest := *step.Rest
			rest.Seconds = min(rest.Seconds, maxSeconds)
			step.Rest = &rest
		}
		if step.Publish != nil {
			publish := *step.Publish
			publish.WarmUp, publish.Seconds = min(publish.WarmUp, maxSeconds/4), min(publish.Seconds, maxSeconds)
			publish.Streams = append([]Stream(nil), publish.Streams...)
			for j := range publish.Streams {
				publish.Streams[j].Rate = min(publish.Streams[j].Rate, maxRate)
			}
			step.Publish = &publish
		}
		steps[i] = step
	}
	s.Steps = steps
	return s
}
