package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/rte-server/rte-server/internal/config"
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
		Args:  cobra.NoArgs,
	}
	settings := p.newSettings(cmd, false, nil)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		l, err := settings.load(checkServer)
		if err != nil {
			return err
		}
		for _, warning := range l.Warnings() {
			cmd.PrintErrf("warning: %s\n", warning)
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), "the configuration can be used")
		return err
	}
	return cmd
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
