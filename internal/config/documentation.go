package config

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// Doc is docs/configuration.md.
func Doc() string {
	var out strings.Builder
	out.WriteString("# Configuration\n\n" +
		"<!-- Made by \"rte-server config doc\". Change the table in internal/config/keys.go instead. -->\n\n" +
		"Each key can stand in a YAML file (`--config FILE` or `RTE_CONFIG`), in the environment and on the command line;\n" +
		"the later overrules the earlier. The key `redis.tls.ca_file` is the variable `RTE_REDIS_TLS_CA_FILE` and the flag\n" +
		"`--redis.tls.ca_file`. In a file keys are nested or written with dots, and lists may be written as YAML lists;\n" +
		"elsewhere the items of a list are separated by commas. A variable without a value counts as not set.\n\n" +
		"An unknown key, an unknown variable that begins with `RTE_` or a wrong value stops the start with exit code 2 and a\n" +
		"message that names it. `rte-server config check` says whether the server would start, and `rte-server config print`\n" +
		"shows every value and where it comes from. Secrets are never shown; better not put them on a command line, where\n" +
		"other users of the machine can read them.\n")

	group := ""
	keys := newKeyList(&Config{})
	keys.flags.VisitAll(func(f *pflag.Flag) {
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
		if keys.secrets[f.Name] {
			kind = "secret"
		}
		fmt.Fprintf(&out, "| `%s` | %s | %s | %s |\n", f.Name, strings.ReplaceAll(kind, "|", ", "), byDefault, f.Usage)
	})
	return out.String()
}
