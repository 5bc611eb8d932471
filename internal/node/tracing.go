package node

import (
	"fmt"

	"github.com/rte-server/rte-server/internal/tracing"
)

// assembleTracing makes the tracer, if tracing is on.
func (n *Node) assembleTracing(o *Options) (err error) {
	c := &n.config.Tracing
	if c.Endpoint == "" {
		return nil
	}
	n.tracer, err = tracing.New(tracing.Options{
		Endpoint: c.Endpoint, Headers: c.Headers, SampleEvery: c.SampleEvery, Rate: c.Rate, Queue: c.Queue,
		Timeout: c.Timeout, Node: n.name, Version: o.Version, Registerer: n.registry, Logger: n.logger.Named("tracing"),
	})
	if err != nil {
		return fmt.Errorf("tracing.endpoint: %w", err)
	}
	return nil
}
