package main

import (
	"bytes"
	"encoding/json"
	"net"

	"github.com/philippseith/signalr" //nolint:depguard // this is the peer that is measured

	"github.com/rte-server/rte-server/bench/ingest"
)

// receive accepts publishers and sends their events to groups until the listener is closed.
func receive(listener net.Listener, clients signalr.HubClients) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go serve(conn, clients)
	}
}

func serve(conn net.Conn, clients signalr.HubClients) {
	defer func() { _ = conn.Close() }()
	buffer := make([]byte, 64<<10)
	var input []byte
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		input = append(input, buffer[:n]...)
		for {
			events, rest, ok := ingest.Cut(nil, input)
			if !ok {
				break
			}
			for _, ev := range events {
				// The library encodes the message later, once per connection.
				clients.Group(string(ev.Channel)).Send("MessageReceived", json.RawMessage(bytes.Clone(ev.Payload)))
			}
			input = input[:copy(input, rest)]
			if _, err := conn.Write([]byte{ingest.Taken}); err != nil {
				return
			}
		}
	}
}
