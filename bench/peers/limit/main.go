// Command limit is the physical limit that servers are compared with. For every event it writes one prepared frame to
// every connection, with blocking write system calls from one thread. With -batch N it waits for N events and writes
// them to each connection with one call.
//
// Events are complete WebSocket frames and arrive at a second port, see package ingest.
package main

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "limit:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("limit", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:9001", "address for clients")
	ingest := flags.String("ingest", "127.0.0.1:9002", "address for events")
	batch := flags.Int("batch", 1, "events per write")
	if err := flags.Parse(args); err != nil {
		return err
	}
	clients, err := netip.ParseAddrPort(*listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	events, err := netip.ParseAddrPort(*ingest)
	if err != nil {
		return fmt.Errorf("ingest: %w", err)
	}
	runtime.LockOSThread()
	debug.SetGCPercent(-1) // once all clients are connected, nothing is allocated
	return serve(clients, events, max(*batch, 1))
}
