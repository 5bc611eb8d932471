package hub

import (
	"github.com/rte-server/rte-server/internal/hub/invoker"
	"github.com/rte-server/rte-server/internal/tracing"
)

// service is the name of the hub in spans, as ASP.NET Core names a hub by its class.
const service = "RteHub"

// beginSpan begins the span of a call, named as ASP.NET Core names it. The target is a text of the client, so only the
// five methods become names.
func (h *Hub) beginSpan(inv *Invocation) *tracing.Span {
	if h.options.Tracer == nil {
		return nil
	}
	return h.options.Tracer.Begin(service+"/"+methodOf(inv.Target).String(), inv.Traceparent)
}

// describe sets the attributes of the span of an ended call.
func describe(span *tracing.Span, c *call, how invoker.Outcome) {
	if span == nil {
		return
	}
	span.Text("rpc.system", "signalr")
	span.Text("rpc.service", service)
	span.Text("rpc.method", c.method.String())
	span.Number("rte.items", len(c.requests))
	if how != invoker.OK {
		span.Fail(how.String())
	}
}
