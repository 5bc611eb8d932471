package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/config"
	"github.com/rte-server/rte-server/internal/demo"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/loopback"
	"github.com/rte-server/rte-server/internal/node"
	"github.com/rte-server/rte-server/internal/simulator"
)

// devDefaults are the defaults that differ for a development server.
var devDefaults = map[string]string{
	"listen":           "127.0.0.1:8080",
	"log.format":       "console",
	"shutdown.delay":   "0s",
	"shutdown.drain":   "0s",
	"shutdown.timeout": "5s",
}

func (p *program) devCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run everything in one process, with a simulated call centre and a wallboard",
		Long: "Runs a server without Redis and without files: a demo organization, a simulator that publishes what happens " +
			"in its\n" +
			"call centre, tokens for whoever asks, and a page that shows it all. Never let strangers reach it.\n\n" +
			"--scenario selects the day, and --seed its random decisions: equal seeds give equal days.\n" +
			"With --redis-port 6379, publishers that have a Redis client can try theirs without Redis:\n" +
			"redis-cli PUBLISH rte:org:{OrganizationId} '{...}'",
		Args: cobra.NoArgs,
	}
	settings := p.newSettings(cmd, false, devDefaults)
	simulation := addSimulationFlags(cmd)
	redisPort := cmd.Flags().String(
		"redis-port", "", "`port` of this machine, or host:port, on which events can be published as to Redis",
	)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		l, err := settings.load(config.CheckDev)
		if err != nil {
			return err
		}
		return p.dev(cmd.Context(), &l.Config, simulation, *redisPort)
	}
	return cmd
}

// dev runs a development server until ctx ends or a signal arrives.
func (p *program) dev(ctx context.Context, c *config.Config, simulation *simulation, redisPort string) error {
	out := p.openLog(c)
	defer out.close()
	logger := out.Logger
	for _, warning := range c.Warnings() {
		logger.Warn("configuration warning", zap.String("option", warning))
	}
	if !loopback.Is(c.Listen) {
		logger.Warn("configuration warning", zap.String("option", "listen: anyone who can reach this address gets a token"))
	}
	if c.Auth.HMACSecret == "" {
		c.Auth.HMACSecret = randomSecret()
	}
	organization := simulator.NewOrganization()
	day, err := simulation.day(organization)
	if err != nil {
		return err
	}
	publishers, err := listenRedis(redisPort, logger)
	if err != nil {
		return err
	}
	var player *demo.Player // publishes through the node, so that it is made after it
	n, err := node.New(node.Options{
		Config: c, Logger: logger, Sink: out.sink, Version: programVersion(),
		Directory: demo.NewDirectory(organization),
		Next: demo.NewHandler(demo.HandlerOptions{
			Organization: organization, Sign: node.NewSigner(&c.Auth).Sign, HubPath: c.Path, Origins: c.Origins,
			State: func() *simulator.State { return player.State() }, Logger: logger.Named("demo"),
		}),
	})
	if err == nil {
		player, err = simulation.player(organization, day, n.Backplane(), logger, n.Registry())
	}
	if err != nil {
		if publishers != nil {
			_ = publishers.Close()
		}
		return err
	}
	ctx, stop := untilSignal(ctx)
	defer stop()
	out.closeAfter(ctx, n.StopTimeout)
	also := []node.Task{player.Run, p.greet(n, c.Path, publishers, organization.ID)}
	if publishers != nil {
		also = append(also, serveRedis(n, c, publishers))
	}
	return n.Run(ctx, also...)
}

// greet is a task that prints the addresses of the server.
func (p *program) greet(n *node.Node, path string, publishers net.Listener, organization events.ID) node.Task {
	return func(context.Context) error {
		text := fmt.Appendf(nil, "\n"+
			"  wallboard   http://%[1]s/\n"+
			"  token       http://%[1]s/token/me/rte/\n"+
			"  entities    http://%[1]s/demo/entities\n"+
			"  state       http://%[1]s/demo/state\n"+
			"  hub         ws://%[1]s%[2]s\n", dialable(n.ClientAddr()), path)
		if n.OperatorAddr() != nil {
			text = fmt.Appendf(text, "  operators   http://%s/\n", dialable(n.OperatorAddr()))
		}
		if publishers != nil {
			text = fmt.Appendf(
				text, "  publishers  redis://%s, PUBLISH rte:org:%s '{...}'\n", dialable(publishers.Addr()), organization,
			)
		}
		report(p.stdout, "%s\n", text)
		return nil
	}
}

// dialable returns an address that a browser on this machine can open. The address of a listener on all addresses is
// none.
func dialable(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return addr.String()
	}
	return fmt.Sprintf("localhost:%d", tcp.Port)
}

// randomSecret returns a secret for one run of the program.
func randomSecret() string {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails: crypto/rand ends the process instead
	return base64.RawURLEncoding.EncodeToString(secret[:])
}
