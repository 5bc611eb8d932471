package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// envPrefix is the prefix of every variable that configures the server.
const envPrefix = "RTE_"

// envConfig is the variable that names the configuration file, as --config does.
const envConfig = envPrefix + "CONFIG"

// envName returns the environment variable of a key: RTE_A_B for a.b.
func envName(key string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// assignment is the value of a key in one source.
type assignment struct {
	key, value string
	source     string // its place, for people: a line of a file, a variable or a flag
}

// assign sets keys in order, so that later sources override earlier ones. won has the last source of each key that was
// set, notes have warnings. assign continues after errors and returns all of them; errors and warnings name the key and
// never quote a value.
func (k *keyList) assign(assignments []assignment) (won map[string]string, notes []string, err error) {
	won = map[string]string{}
	var wrong []error
	for _, a := range assignments {
		flag := k.flags.Lookup(a.key)
		if flag == nil {
			wrong = append(wrong, fmt.Errorf("%s: unknown key %q%s", a.source, a.key, k.suggestion(a.key)))
			continue
		}
		if trimmed := strings.TrimRight(a.value, "\r\n"); k.secrets[a.key] && trimmed != a.value {
			a.value = trimmed
			notes = append(notes, fmt.Sprintf("%s: the newline at the end of the value of %s is removed", a.key, a.source))
		}
		if err := flag.Value.Set(a.value); err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %s: %w", a.source, a.key, err))
			continue
		}
		won[a.key] = a.source
	}
	return won, notes, errors.Join(wrong...)
}

// suggestion returns a hint at the key that is spelled most like wrong, to append to a message; empty if none is close.
func (k *keyList) suggestion(wrong string) string {
	best, distance := "", 3 // at a greater distance it is another word
	k.flags.VisitAll(func(f *pflag.Flag) {
		if d := editDistance(f.Name, wrong); d < distance {
			best, distance = f.Name, d
		}
	})
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}

// editDistance returns the Levenshtein distance of two strings.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// maxFileBytes bounds a configuration file.
const maxFileBytes = 4 << 20

// readFile reads the assignments of a YAML file. Keys may be nested or written with dots.
func readFile(path string) ([]assignment, error) {
	data, err := ReadFile(path, maxFileBytes)
	if err != nil {
		return nil, fmt.Errorf("configuration file: %w", err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document, more yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF): // nothing but comments
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	switch err := decoder.Decode(&more); {
	case err == nil:
		return nil, fmt.Errorf("%s:%d: a second document begins; write all keys into one", path, more.Line)
	case !errors.Is(err, io.EOF):
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return flatten(path, "", 1, document.Content[0])
}

// flatten turns a YAML node into assignments of the keys below prefix. line is the line of the node's key.
func flatten(path, prefix string, line int, node *yaml.Node) ([]assignment, error) {
	source := fmt.Sprintf("%s:%d", path, line)
	switch {
	case node.Kind == yaml.MappingNode:
		return flattenMapping(path, prefix, node)
	case node.ShortTag() == "!!null": // "key:" without a value counts as absent
		return nil, nil
	case prefix == "":
		return nil, fmt.Errorf("%s: must be a mapping of keys to values", source)
	case node.Kind == yaml.ScalarNode:
		return []assignment{{prefix, node.Value, source}}, nil
	case node.Kind == yaml.SequenceNode:
		items := make([]string, len(node.Content))
		for i, item := range node.Content {
			if item.Kind != yaml.ScalarNode || strings.Contains(item.Value, ",") {
				return nil, fmt.Errorf("%s: %s: must be a list of texts without commas", source, prefix)
			}
			items[i] = item.Value
		}
		return []assignment{{prefix, strings.Join(items, ","), source}}, nil
	default:
		return nil, fmt.Errorf("%s: %s: aliases are not supported", source, prefix)
	}
}

func flattenMapping(path, prefix string, node *yaml.Node) ([]assignment, error) {
	var all []assignment
	for i := 0; i+1 < len(node.Content); i += 2 {
		name, value := node.Content[i], node.Content[i+1]
		key := name.Value
		if prefix != "" {
			key = prefix + "." + key
		}
		below, err := flatten(path, key, name.Line, value)
		if err != nil {
			return nil, err
		}
		for _, a := range below {
			if slices.ContainsFunc(all, func(b assignment) bool { return b.key == a.key }) {
				return nil, fmt.Errorf("%s: %s: occurs twice", a.source, a.key)
			}
			all = append(all, a)
		}
	}
	return all, nil
}

// readEnv reads the assignments of the environment. An empty variable counts as not set: deployment tools make one from
// an omitted value.
func (k *keyList) readEnv(environ []string) ([]assignment, error) {
	keys := map[string]string{}
	k.flags.VisitAll(func(f *pflag.Flag) { keys[envName(f.Name)] = f.Name })

	var all []assignment
	var wrong []error
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, envPrefix) || name == envConfig || value == "" {
			continue
		}
		key, known := keys[name]
		switch {
		case known:
			all = append(all, assignment{key, value, name})
		case !ofService(name, environ):
			wrong = append(wrong, fmt.Errorf("%s: unknown variable of the environment", name))
		}
	}
	slices.SortFunc(all, func(a, b assignment) int { return cmp.Compare(a.key, b.key) })
	return all, errors.Join(wrong...)
}

// ofService reports whether Kubernetes has set a variable for a service whose name begins with "rte". It sets variables
// such as RTE_SERVER_SERVICE_HOST and RTE_SERVER_PORT_80_TCP in every pod.
func ofService(name string, environ []string) bool {
	for _, variable := range environ {
		other, _, _ := strings.Cut(variable, "=")
		service, isService := strings.CutSuffix(other, "_SERVICE_HOST")
		if !isService {
			continue
		}
		rest, ofIt := strings.CutPrefix(name, service)
		if ofIt && (strings.HasPrefix(rest, "_SERVICE_") || rest == "_PORT" || strings.HasPrefix(rest, "_PORT_")) {
			return true
		}
	}
	return false
}

// readFlags reads the assignments of the flags on the command line.
func readFlags(flags *pflag.FlagSet) []assignment {
	var all []assignment
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed {
			all = append(all, assignment{f.Name, f.Value.String(), "--" + f.Name})
		}
	})
	return all
}
