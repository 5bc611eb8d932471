// Package transports has the transports of SignalR: the ways from a connection to its client. It is a leaf.
package transports

import (
	"fmt"
	"strings"
)

// Transport is a transport.
type Transport uint8

// The transports, in the order in which clients try them.
const (
	WebSockets Transport = iota
	ServerSentEvents
	LongPolling
	Number // of transports
)

// String returns the name of the transport, as negotiate has it.
func (t Transport) String() string {
	return [Number]string{"WebSockets", "ServerSentEvents", "LongPolling"}[t]
}

// Label returns the name of the transport in the semantic conventions of OpenTelemetry.
func (t Transport) Label() string {
	return [Number]string{"web_sockets", "server_sent_events", "long_polling"}[t]
}

// formats returns the transfer formats of the transport, as negotiate lists them.
func (t Transport) formats() string {
	if t == ServerSentEvents {
		return `["Text"]`
	}
	return `["Text","Binary"]`
}

// Set is a set of transports.
type Set [Number]bool

// Parse reads a list of names. The empty list has WebSockets only.
func Parse(names []string) (set Set, err error) {
	if len(names) == 0 {
		return Set{WebSockets: true}, nil
	}
	for _, name := range names {
		known := false
		for t := range Number {
			if strings.EqualFold(name, t.String()) {
				set[t], known = true, true
			}
		}
		if !known {
			return Set{}, fmt.Errorf("%q must be one of WebSockets, ServerSentEvents and LongPolling", name)
		}
	}
	return set, nil
}

// Fallback reports whether the set has a transport beside WebSockets.
func (s *Set) Fallback() bool { return s[ServerSentEvents] || s[LongPolling] }

// Available returns the list in the answer of negotiate (N11).
func (s *Set) Available() string {
	var items []string
	for t := range Number {
		if s[t] {
			items = append(items, `{"transport":"`+t.String()+`","transferFormats":`+t.formats()+`}`)
		}
	}
	return `"availableTransports":[` + strings.Join(items, ",") + `]`
}
