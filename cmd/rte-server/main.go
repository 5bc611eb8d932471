// Command rte-server is a SignalR hub that brings the events of a contact centre to its clients.
package main

import (
	"context"
	"os"

	"github.com/rte-server/rte-server/internal/backplane/redis"
	"github.com/rte-server/rte-server/internal/tracing"
)

func main() {
	spareProcessor()
	redis.QuietDriver()
	tracing.QuietDriver()
	err := run(context.Background(), os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr)
	os.Exit(exitCode(err))
}
