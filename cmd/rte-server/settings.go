package main

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rte-server/rte-server/internal/config"
)

// settings are the configuration flags of one command and its other sources.
type settings struct {
	sources *config.Sources
	files   []string // of --config
}

// newSettings adds a flag for each key to cmd. The flags are many: the help lists them only if listed is true.
func (p *program) newSettings(cmd *cobra.Command, listed bool, defaults map[string]string) *settings {
	s := &settings{sources: config.NewSources(p.environ, defaults)}
	flags := s.sources.Flags()
	if !listed {
		flags.VisitAll(func(f *pflag.Flag) { f.Hidden = true })
		cmd.Long = strings.TrimSpace(
			cmd.Long + "\n\nEvery configuration key is a flag of this command, too; \"rte-server config doc\" lists them.",
		)
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringArrayVar(&s.files, "config", nil,
		"YAML `file` with configuration keys; if repeated, later files override earlier ones")
	cmd.Flags().AddFlagSet(flags)
	return s
}

// load reads the configuration and checks it. Its error is a usageError that names the faulty keys.
func (s *settings) load(check func(*config.Config) error) (*config.Loaded, error) {
	l, err := s.sources.Load(s.files, check)
	if err != nil {
		return nil, usageError{err}
	}
	return l, nil
}
