package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

func (p *program) configCommand() *cobra.Command {
	config := &cobra.Command{
		Use:   "config",
		Short: "Check, print and explain the configuration of the server",
		Args:  cobra.NoArgs,
	}
	config.AddCommand(p.configCheckCommand(), p.configPrintCommand(), p.configDocCommand())
	return config
}

func (p *program) configCheckCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say whether \"serve\" would start with this configuration",
		Args:  cobra.NoArgs,
	}
	settings := p.newSettings(cmd, false, nil)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		l, err := settings.load(checkServer)
		if err != nil {
			return err
		}
		for _, warning := range l.warnings() {
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
		Short: "Print every key with its value and where the value comes from",
		Long:  "Prints every key with its value and where the value comes from, as YAML that can be used as a configuration file. Secrets are not shown.",
		Args:  cobra.NoArgs,
	}
	settings := p.newSettings(cmd, false, nil)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		// A configuration that cannot be used can be printed too: one looks at it to find out why.
		l, err := settings.load(func(*Config) error { return nil })
		if err != nil {
			return err
		}
		return l.print(cmd.OutOrStdout())
	}
	return cmd
}

// print writes the configuration as YAML.
func (l *loaded) print(w io.Writer) error {
	var out strings.Builder
	l.table.flags.VisitAll(func(f *pflag.Flag) {
		source := cmp.Or(l.won[f.Name], "default")
		value := f.Value.String()
		if l.table.secrets[f.Name] && value != "" {
			fmt.Fprintf(&out, "# %s is set and not shown (%s)\n", f.Name, source)
			return
		}
		switch f.Value.Type() {
		case (*toggle)(nil).Type(), (*count)(nil).Type():
		default:
			value = yamlScalar(value)
		}
		fmt.Fprintf(&out, "%s: %s # %s\n", f.Name, value, source)
	})
	_, err := io.WriteString(w, out.String())
	return err
}

// yamlScalar writes a text so that YAML reads the same text.
func yamlScalar(s string) string {
	data, err := yaml.Marshal(s)
	if err != nil {
		panic(err) // a string can be written
	}
	return strings.TrimSuffix(string(data), "\n")
}

func (p *program) configDocCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doc",
		Short: "Print a table of all configuration keys, in Markdown",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := io.WriteString(cmd.OutOrStdout(), configDoc())
			return err
		},
	}
}

// configDoc is docs/configuration.md.
func configDoc() string {
	var out strings.Builder
	out.WriteString("# Configuration\n\n" +
		"<!-- Made by \"rte-server config doc\". Change the table in cmd/rte-server/table.go instead. -->\n\n" +
		"Each key can stand in a YAML file (`--config FILE` or `RTE_CONFIG`), in the environment and on the command line;\n" +
		"the later overrules the earlier. The key `redis.tls.ca_file` is the variable `RTE_REDIS_TLS_CA_FILE` and the flag\n" +
		"`--redis.tls.ca_file`. In a file keys are nested or written with dots, and lists may be written as YAML lists;\n" +
		"elsewhere the items of a list are separated by commas. A variable without a value counts as not set.\n\n" +
		"An unknown key, an unknown variable that begins with `RTE_` or a wrong value stops the start with exit code 2 and a\n" +
		"message that names it. `rte-server config check` says whether the server would start, and `rte-server config print`\n" +
		"shows every value and where it comes from. Secrets are never shown; better not put them on a command line, where\n" +
		"other users of the machine can read them.\n")

	group := ""
	table := newTable(&Config{})
	table.flags.VisitAll(func(f *pflag.Flag) {
		name, _, nested := strings.Cut(f.Name, ".")
		if !nested {
			name = "General"
		}
		if name != group {
			group = name
			fmt.Fprintf(&out, "\n## %s\n\n| key | type | default | meaning |\n|---|---|---|---|\n", group)
		}
		byDefault := ""
		if f.DefValue != "" {
			byDefault = "`" + f.DefValue + "`"
		}
		kind := f.Value.Type()
		if table.secrets[f.Name] {
			kind = "secret"
		}
		fmt.Fprintf(&out, "| `%s` | %s | %s | %s |\n", f.Name, strings.ReplaceAll(kind, "|", ", "), byDefault, f.Usage)
	})
	return out.String()
}
