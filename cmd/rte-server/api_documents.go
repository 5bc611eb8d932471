package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/rte-server/rte-server/api"
	"github.com/rte-server/rte-server/internal/console"
)

func (p *program) asyncAPICommand() *cobra.Command {
	return &cobra.Command{
		Use:   "asyncapi",
		Short: "Print the AsyncAPI document of the hub and the lanes of Redis",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := io.WriteString(cmd.OutOrStdout(), api.AsyncAPI())
			return err
		},
	}
}

func (p *program) openAPICommand() *cobra.Command {
	return &cobra.Command{
		Use:   "openapi",
		Short: "Print the OpenAPI document of the operator API",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(console.OpenAPI())
			return err
		},
	}
}
