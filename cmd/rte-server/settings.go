package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// settings are the configuration flags of one command, and what they become together with the other sources.
type settings struct {
	environ  []string
	defaults map[string]string // of keys that this command has other defaults for than the table
	file     string            // of --config
	given    *pflag.FlagSet    // with the values of the command line only
}

// loaded is a configuration that was read and checked.
type loaded struct {
	Config

	table *table
	won   map[string]string // where the value of each key that was set comes from
}

// newSettings gives cmd a flag for each key. They are in its help only if listed is true; there are many.
func (p *program) newSettings(cmd *cobra.Command, listed bool, defaults map[string]string) *settings {
	s := &settings{environ: p.environ, defaults: defaults}
	s.given = s.newTable(&Config{}).flags
	if !listed {
		s.given.VisitAll(func(f *pflag.Flag) { f.Hidden = true })
		cmd.Long = strings.TrimSpace(cmd.Long + "\n\nEvery configuration key is a flag of this command too; \"rte-server config doc\" lists them.")
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&s.file, "config", "", "YAML `file` with configuration keys")
	cmd.Flags().AddFlagSet(s.given)
	return s
}

func (s *settings) newTable(c *Config) *table {
	t := newTable(c)
	for key, value := range s.defaults {
		t.setDefault(key, value)
	}
	return t
}

// load reads the file, the environment and the flags, the later overruling the earlier, and checks what came of it. The
// error is a usageError and names the keys that are wrong.
func (s *settings) load(check func(*Config) error) (*loaded, error) {
	l := &loaded{}
	l.table = s.newTable(&l.Config)

	path := s.file
	for _, variable := range s.environ {
		if value, ok := strings.CutPrefix(variable, envConfig+"="); ok && path == "" {
			path = value
		}
	}
	var all []assignment
	if path != "" {
		fromFile, err := readFile(path)
		if err != nil {
			return nil, usageError{err}
		}
		all = fromFile
	}
	fromEnv, envErr := l.table.readEnv(s.environ)
	all = append(append(all, fromEnv...), readFlags(s.given)...)

	var err error
	l.won, err = l.table.assign(all)
	if err = errors.Join(err, envErr); err == nil {
		err = check(&l.Config)
	}
	if err != nil {
		return nil, usageError{err}
	}
	return l, nil
}
