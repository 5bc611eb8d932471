package scenarios

import (
	"fmt"
	"slices"
)

// validate finds mistakes that would stop or distort a run.
func (s *Scenario) validate() error {
	if s.Name == "" || s.MessageBytes <= 0 || s.TimeoutSeconds <= 0 || len(s.Peers) == 0 {
		return fmt.Errorf("%w: name, message_bytes, timeout_seconds and peers are needed", ErrInvalid)
	}
	for _, g := range s.Groups {
		organization := s.OrganizationIndex(g.Organization)
		switch {
		case organization < 0:
			return fmt.Errorf("%w: group %s: no organization %q", ErrInvalid, g.Name, g.Organization)
		case g.Connections <= 0 || g.Span <= 0 || g.PerConnection <= 0 || g.PerConnection > g.Span,
			g.First < 0, g.Stride < 0:
			return fmt.Errorf("%w: group %s: connections, span, per_connection <= span, first, stride", ErrInvalid, g.Name)
		case g.First+g.Span > s.Organizations[organization].Topics:
			return fmt.Errorf("%w: group %s: more topics than its organization has", ErrInvalid, g.Name)
		}
	}
	var records []string
	for i, step := range s.Steps {
		record, err := s.validateStep(step, records)
		if err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
		if record != "" {
			records = append(records, record)
		}
	}
	return nil
}

func (s *Scenario) validateStep(step Step, records []string) (record string, err error) {
	switch {
	case step.Connect != nil:
		return step.Connect.Record, s.validateGroup(step.Connect.Group, step.Connect.Topics, step.Connect.InFlight)
	case step.Subscribe != nil:
		return step.Subscribe.Record, s.validateGroup(step.Subscribe.Group, step.Subscribe.Topics, step.Subscribe.InFlight)
	case step.Freeze != nil:
		return "", s.validateGroup(step.Freeze.Group, 1, 1)
	case step.Rest != nil:
		return step.Rest.Record, nil
	case step.Publish != nil:
		return step.Publish.Record, s.validatePublish(step.Publish, records)
	default:
		return "", fmt.Errorf("%w: nothing to do", ErrInvalid)
	}
}

func (s *Scenario) validateGroup(name string, topics, inFlight int) error {
	i := slices.IndexFunc(s.Groups, func(g Group) bool { return g.Name == name })
	if i < 0 {
		return fmt.Errorf("%w: no group %q", ErrInvalid, name)
	}
	if topics <= 0 || topics > s.Groups[i].PerConnection || inFlight <= 0 {
		return fmt.Errorf("%w: topics from 1 to per_connection, in_flight from 1", ErrInvalid)
	}
	return nil
}

func (s *Scenario) validatePublish(p *Publish, records []string) error {
	if p.Seconds <= 0 || len(p.Streams) == 0 {
		return fmt.Errorf("%w: seconds and streams are needed", ErrInvalid)
	}
	for _, stream := range p.Streams {
		organization := s.OrganizationIndex(stream.Organization)
		if organization < 0 {
			return fmt.Errorf("%w: no organization %q", ErrInvalid, stream.Organization)
		}
		topics := s.Organizations[organization].Topics
		if stream.First < 0 || stream.Topics < 0 || stream.First+max(stream.Topics, 1) > topics {
			return fmt.Errorf("%w: stream: more topics than the organization has", ErrInvalid)
		}
		switch {
		case stream.Pace == Window && stream.Window > 0:
		case (stream.Pace == Even || stream.Pace == Poisson) && stream.Rate > 0 && stream.Of == "":
		case stream.Pace == Even && stream.Times > 0 && slices.Contains(records, stream.Of):
		default:
			return fmt.Errorf("%w: stream: pace with its rate, window, or times and of", ErrInvalid)
		}
	}
	return nil
}
