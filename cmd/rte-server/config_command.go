package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/rte-server/rte-server/internal/config"
	"github.com/rte-server/rte-server/internal/diagnosis"
	"github.com/rte-server/rte-server/internal/node"
)

func (p *program) configCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "config",
		Short: "Check, print and explain the configuration of the server",
		Args:  cobra.NoArgs,
	}
	root.AddCommand(p.configCheckCommand(), p.configPrintCommand(), p.configDocCommand())
	return root
}

func (p *program) configCheckCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Report whether \"serve\" would start with this configuration",
		Long: "Reports whether \"serve\" would start with this configuration. With --connect, it also tries Redis, the\n" +
			"key sets and the directory as a node would use them, and prints one line for each result. It changes nothing\n" +
			"there.\n\n" +
			"Ends with 0 if the configuration can be used, with 2 if it is wrong, and with 1 if a server failed a check.",
		Args: cobra.NoArgs,
	}
	settings := p.newSettings(cmd, false, nil)
	connect := cmd.Flags().Bool("connect", false, "also try Redis, the key sets and the directory")
	timeout := cmd.Flags().Duration("timeout", 20*time.Second, "bound all checks of --connect by this `time`")
	form := newOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *form == outputJSON && !*connect {
			return usageError{errors.New("--output json: needs --connect")}
		}
		l, err := settings.load(checkServer)
		if err != nil {
			return err
		}
		for _, warning := range l.Warnings() {
			cmd.PrintErrf("warning: %s\n", warning)
		}
		if warning := node.FilesWarning(&l.Config); warning != "" {
			cmd.PrintErrf("warning: %s\n", warning)
		}
		if *connect {
			return tryServers(cmd, &l.Config, *timeout, *form == outputJSON)
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), "the configuration can be used")
		return err
	}
	return cmd
}

// tryServers tries the servers of a configuration and prints the findings.
func tryServers(cmd *cobra.Command, c *config.Config, timeout time.Duration, asJSON bool) error {
	ctx, stop := untilSignal(cmd.Context())
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	findings := node.TryConnect(ctx, c)
	failed := diagnosis.Count(findings, diagnosis.Failed)
	out := cmd.OutOrStdout()
	var err error
	if asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(struct {
			OK       bool                `json:"ok"`
			Findings []diagnosis.Finding `json:"findings"`
		}{failed == 0, findings})
	} else {
		err = diagnosis.Write(out, findings)
	}
	switch {
	case err != nil:
		return err
	case failed > 0:
		return fmt.Errorf("%d of %d checks failed", failed, len(findings))
	case !asJSON:
		_, err = fmt.Fprintln(out, "the configuration can be used, and the servers answer")
	}
	return err
}

func (p *program) configPrintCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "print",
		Short: "Print every key with its value and source",
		Long: "Prints every key with its value and its source, as YAML that can serve as a configuration file. Does not " +
			"show secrets.",
		Args: cobra.NoArgs,
	}
	settings := p.newSettings(cmd, false, nil)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		// Print an invalid configuration, too: the output shows why it is invalid.
		l, err := settings.load(func(*config.Config) error { return nil })
		if err != nil {
			return err
		}
		return l.Print(cmd.OutOrStdout())
	}
	return cmd
}

func (p *program) configDocCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doc",
		Short: "Print a table of all configuration keys, in Markdown",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := io.WriteString(cmd.OutOrStdout(), config.Doc())
			return err
		},
	}
}
