package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// Sources are where one command finds its configuration.
type Sources struct {
	environ  []string
	defaults map[string]string // of keys that this command has other defaults for
	flags    *pflag.FlagSet    // with the values of the command line only
}

// Loaded is a configuration that was read and checked.
type Loaded struct {
	Config

	keys *keyList
	won  map[string]string // where the value of each key that was set comes from
}

// NewSources makes the sources of a command. environ is as os.Environ has it; defaults are those of keys that the command
// has other defaults for.
func NewSources(environ []string, defaults map[string]string) *Sources {
	s := &Sources{environ: environ, defaults: defaults}
	s.flags = s.newKeyList(&Config{}).flags
	return s
}

// Flags has a flag for each key.
func (s *Sources) Flags() *pflag.FlagSet { return s.flags }

// Default is a configuration that nothing was said about.
func Default() *Config {
	c := &Config{}
	newKeyList(c)
	return c
}

func (s *Sources) newKeyList(c *Config) *keyList {
	t := newKeyList(c)
	for key, value := range s.defaults {
		t.setDefault(key, value)
	}
	return t
}

// Load reads the file, the environment and the flags, the later overruling the earlier, and checks what came of it. The
// error names the keys that are wrong.
func (s *Sources) Load(file string, check func(*Config) error) (*Loaded, error) {
	l := &Loaded{}
	l.keys = s.newKeyList(&l.Config)

	path := file
	for _, variable := range s.environ {
		if value, ok := strings.CutPrefix(variable, envConfig+"="); ok && path == "" {
			path = value
		}
	}
	var all []assignment
	if path != "" {
		fromFile, err := readFile(path)
		if err != nil {
			return nil, err
		}
		all = fromFile
	}
	fromEnv, envErr := l.keys.readEnv(s.environ)
	all = append(append(all, fromEnv...), readFlags(s.flags)...)

	var err error
	l.won, err = l.keys.assign(all)
	if err = errors.Join(err, envErr); err == nil {
		err = check(&l.Config)
	}
	if err != nil {
		return nil, err
	}
	return l, nil
}

// Print writes the configuration as YAML.
func (l *Loaded) Print(w io.Writer) error {
	var out strings.Builder
	l.keys.flags.VisitAll(func(f *pflag.Flag) {
		source := cmp.Or(l.won[f.Name], "default")
		value := f.Value.String()
		if l.keys.secrets[f.Name] && value != "" {
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
