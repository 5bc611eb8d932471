// Command rte-server is a SignalR hub that brings the events of a contact centre to its clients.
package main

import (
	"context"
	"os"
)

func main() {
	spareProcessor()
	err := run(context.Background(), os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr)
	os.Exit(exitCode(err))
}
