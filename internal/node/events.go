package node

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rte-server/rte-server/internal/authz/watch"
	"github.com/rte-server/rte-server/internal/config"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/trace"
)

// maxCatalogBytes bounds events.catalog_file.
const maxCatalogBytes = 16 << 20

// NewCatalog makes the catalog: the built-in events and those of events.catalog_file.
func NewCatalog(c *config.Events) (*events.Catalog, error) {
	catalog := events.Builtin()
	if c.CatalogFile != "" {
		text, err := watch.ReadFile(c.CatalogFile, maxCatalogBytes)
		if err != nil {
			return nil, fmt.Errorf("events.catalog_file: %w", err)
		}
		if catalog, err = events.LoadCatalog(text); err != nil {
			return nil, fmt.Errorf("events.catalog_file: %w", err)
		}
	}
	return catalog.Limit(c.MaxBytes), nil
}

// newIngress makes the ingress, which reads every published message first.
func newIngress(c *config.Events, catalog *events.Catalog, reg prometheus.Registerer) (*events.Ingress, error) {
	unknown, err := events.ParseUnknownPolicy(c.Unknown)
	if err != nil {
		return nil, fmt.Errorf("events.unknown: %w", err)
	}
	validation, err := events.ParseValidation(c.Validation)
	if err != nil {
		return nil, fmt.Errorf("events.validation: %w", err)
	}
	quarantine := c.Quarantine
	if quarantine == 0 {
		quarantine = -1 // keep nothing: an entry has a part of the payload
	}
	return events.NewIngress(events.IngressOptions{
		Catalog: catalog, Unknown: unknown, Validation: validation,
		SampleEvery: uint64(c.SampleEvery), Quarantine: quarantine, //nolint:gosec // counts are not negative
		Registerer: reg,
	}), nil
}

// tracedIngress is the decoder of events that are published over HTTP. It records the messages that it refuses.
type tracedIngress struct {
	*events.Ingress

	trace *trace.Log
}

// Decode implements backplane.Decoder.
func (in tracedIngress) Decode(data []byte) (events.Event, error) {
	ev, err := in.Ingress.Decode(data)
	if reason, ok := events.ReasonOf(err); ok {
		in.trace.Refused(events.ID{}, data, len(data), reason.String())
	}
	return ev, err
}

// expires returns the function that computes when an event expires; nil if events never do.
func expires(c *config.Events) func(*events.Event) time.Time {
	if !c.Expire {
		return nil
	}
	return func(ev *events.Event) time.Time { return ev.Expires(c.ClockSkew) }
}

// packStyle returns the form in which MessagePack clients receive events.
func packStyle(c *config.Config) (style events.PackStyle) {
	if c.MessagePack.Keys == "camel" {
		style |= events.CamelKeys
	}
	if c.MessagePack.Times == "string" {
		style |= events.TextTimes
	}
	return style
}
