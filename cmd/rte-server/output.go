package main

import (
	"errors"

	"github.com/spf13/cobra"
)

// output is the form in which a command prints its result: the value of --output.
type output string

const (
	outputText output = "text"
	outputJSON output = "json"
)

// newOutput adds the flag --output to a command.
func newOutput(cmd *cobra.Command) *output {
	o := outputText
	cmd.Flags().VarP(&o, "output", "o", "`form` of the result: text or json")
	return &o
}

// String implements pflag.Value.
func (o *output) String() string { return string(*o) }

// Set implements pflag.Value.
func (o *output) Set(value string) error {
	if value := output(value); value == outputText || value == outputJSON {
		*o = value
		return nil
	}
	return errors.New("must be text or json")
}

// Type implements pflag.Value.
func (o *output) Type() string { return "form" }
