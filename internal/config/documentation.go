package config

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// Doc returns docs/configuration.md.
func Doc() string {
	var out strings.Builder
	out.WriteString("# Configuration\n\n" +
		"<!-- Made by \"rte-server config doc\". Change internal/config/groups.go instead. -->\n\n" +
		"Set a key in a YAML file (`--config FILE` or `RTE_CONFIG`), in the environment or on the command line. Later\n" +
		"sources in this list override earlier ones, and so do later files where `--config` is repeated: each key has\n" +
		"the value of the last source that sets it, also a list as a whole. The key\n" +
		"`redis.tls.ca_file` is the variable `RTE_REDIS_TLS_CA_FILE` and the flag `--redis.tls.ca_file`. A file may nest\n" +
		"keys or write them with dots, and may have YAML lists; elsewhere commas separate the elements of a list. A\n" +
		"repeated flag of a list adds elements. An empty variable counts as not set.\n\n" +
		"Durations and sizes have wide ranges: 1ns for timeouts.send is a slip, and the message names the range.\n\n" +
		"An unknown key, an unknown variable with the prefix `RTE_` or an invalid value stops the start with exit code 2\n" +
		"and a message that names it. `rte-server config check` reports whether the server would start.\n" +
		"`rte-server config print` shows every value and its source, but never a secret. Do not put secrets on a command\n" +
		"line, where other users of the machine can read them. A newline at the end of a secret is removed, with a\n" +
		"warning: files and variables often have one by mistake.\n\n" +
		"Each secret can be in a file of its own: the key `auth.hmac_secret_file`, or the variable\n" +
		"`RTE_AUTH_HMAC_SECRET_FILE`, names one. The server reads such a file again when it changes.\n\n" +
		"A running server reads all sources again at SIGHUP and at `POST /api/reload` on the operator port. The column\n" +
		"reload states what becomes of a new value: `yes` is in force at once, `next connection` from the next connection\n" +
		"to Redis, and every other key needs a restart. The server logs the names of the keys of each kind. If any value\n" +
		"is wrong, all old values stay in force.\n")

	group := ""
	keys := newKeyList(&Config{})
	keys.flags.VisitAll(func(f *pflag.Flag) {
		name, _, nested := strings.Cut(f.Name, ".")
		if !nested {
			name = "General"
		}
		if name != group {
			group = name
			fmt.Fprintf(&out, "\n## %s\n\n| key | type | default | reload | meaning |\n|---|---|---|---|---|\n", group)
		}
		byDefault := ""
		if f.DefValue != "" {
			byDefault = "`" + f.DefValue + "`"
		}
		kind := f.Value.Type()
		if keys.secrets[f.Name] {
			kind = "secret"
		}
		fmt.Fprintf(&out, "| `%s` | %s | %s | %s | %s |\n", f.Name, strings.ReplaceAll(kind, "|", ", "), byDefault,
			keys.reloads[f.Name], f.Usage)
	})
	return out.String()
}
