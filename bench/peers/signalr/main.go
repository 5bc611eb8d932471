// Command signalr is a hub on the stock philippseith/signalr server, built as in the documentation of that library.
// Subscribe adds the connection to one group per topic, and an event goes to its group. Logging is off; everything
// else has default settings.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	kitlog "github.com/go-kit/log"
	"github.com/philippseith/signalr" //nolint:depguard // this is the peer that is measured
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "signalr:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("signalr", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:9001", "address for clients")
	ingestAddress := flags.String("ingest", "127.0.0.1:9002", "address for events")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	server, err := signalr.NewServer(ctx,
		signalr.SimpleHubFactory(&hub{}),
		signalr.Logger(kitlog.NewNopLogger(), false))
	if err != nil {
		return fmt.Errorf("create server: %w", err)
	}
	mux := http.NewServeMux()
	server.MapHTTP(signalr.WithHTTPServeMux(mux), "/rte")

	publisher, err := (&net.ListenConfig{}).Listen(ctx, "tcp", *ingestAddress)
	if err != nil {
		return fmt.Errorf("listen for events: %w", err)
	}
	web := &http.Server{Addr: *listen, Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-ctx.Done()
		_ = publisher.Close()
		_ = web.Close()
	}()
	go receive(publisher, server.HubClients())
	if err := web.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}
