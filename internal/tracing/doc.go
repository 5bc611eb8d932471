// Package tracing makes OpenTelemetry spans of some requests and calls, and exports them over OTLP. It owns the
// OpenTelemetry SDK.
//
// A nil *Tracer and a nil *Span do nothing, so that callers need no condition. Spans wait in a bounded queue; no caller
// ever waits for the collector. Attributes have neither tokens nor ids of persons.
package tracing
