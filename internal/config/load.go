package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// Sources are the sources of one command's configuration: a file, the environment and flags.
type Sources struct {
	environ  []string
	defaults map[string]string // that this command has instead of the usual ones, by key
	flags    *pflag.FlagSet    // have the values of the command line only
}

// Loaded is a configuration after reading and checking.
type Loaded struct {
	Config

	keys *keyList
	won  map[string]string // the source of each key that was set

	// What Load was called with and has read, for a reload.
	sources *Sources
	files   []string
	check   func(*Config) error
	read    []assignment
}

// NewSources makes the sources of a command. environ has the form of os.Environ. defaults replaces defaults of keys for
// this command.
func NewSources(environ []string, defaults map[string]string) *Sources {
	s := &Sources{environ: environ, defaults: defaults}
	s.flags = s.newKeyList(&Config{}).flags
	s.flags.VisitAll(func(f *pflag.Flag) {
		if values, ok := f.Value.(*list); ok {
			f.Value = &repeatable{list: values}
		}
	})
	return s
}

// Flags returns a flag for each key. The command adds them to its own and parses the command line.
func (s *Sources) Flags() *pflag.FlagSet { return s.flags }

// Default returns the configuration of a server without any source.
func Default() *Config {
	c := &Config{}
	newKeyList(c)
	return c
}

func (s *Sources) newKeyList(c *Config) *keyList {
	k := newKeyList(c)
	for key, value := range s.defaults {
		k.setDefault(key, value)
	}
	return k
}

// Load reads files, the environment and flags, in this order: later sources override earlier ones. Then it reads the
// files of secrets and calls check. Without files, RTE_CONFIG names one if it is set. The error names the faulty keys.
func (s *Sources) Load(files []string, check func(*Config) error) (*Loaded, error) {
	paths := files
	if len(paths) == 0 {
		for _, variable := range s.environ {
			if path, ok := strings.CutPrefix(variable, envConfig+"="); ok && path != "" {
				paths = []string{path}
			}
		}
	}
	var all []assignment
	for _, path := range paths {
		fromFile, err := readFile(path)
		if err != nil {
			return nil, err
		}
		all = append(all, fromFile...)
	}
	return s.assemble(all, files, check)
}

// assemble makes a configuration from the assignments of files, the environment and flags.
func (s *Sources) assemble(fromFiles []assignment, files []string, check func(*Config) error) (*Loaded, error) {
	l := &Loaded{sources: s, files: files, check: check, read: fromFiles}
	l.keys = s.newKeyList(&l.Config)
	fromEnv, envErr := l.keys.readEnv(s.environ)
	all := slices.Concat(fromFiles, fromEnv, readFlags(s.flags))

	var err error
	l.won, l.notes, err = l.keys.assign(all)
	if err = errors.Join(err, envErr); err == nil {
		err = l.keys.readSecrets()
	}
	if err == nil {
		err = check(&l.Config)
	}
	if err != nil {
		return nil, err
	}
	return l, nil
}

// Print writes every key with its value and source, as YAML that Load can read. It does not show secrets.
func (l *Loaded) Print(w io.Writer) error {
	var out strings.Builder
	l.keys.flags.VisitAll(func(f *pflag.Flag) {
		source := cmp.Or(l.won[f.Name], "default")
		value := f.Value.String()
		switch {
		case l.keys.secrets[f.Name] && value != "" && *l.keys.secretFiles[f.Name] != "":
			return // the line of its file follows
		case l.keys.secrets[f.Name] && value != "":
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

// yamlScalar quotes a text for YAML if needed.
func yamlScalar(s string) string {
	data, err := yaml.Marshal(s)
	if err != nil {
		panic(err) // a string has a YAML form
	}
	return strings.TrimSuffix(string(data), "\n")
}
