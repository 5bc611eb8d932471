package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// TestCompose_configuresTheProgram checks the configuration that deploy/compose.yaml gives to a node: a renamed key
// would prevent the whole deployment from starting.
func TestCompose_configuresTheProgram(t *testing.T) {
	text, err := os.ReadFile("../../deploy/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var compose struct {
		Services map[string]struct {
			Environment map[string]string
		}
	}
	if err := yaml.Unmarshal(text, &compose); err != nil {
		t.Fatal(err)
	}
	for _, node := range []string{"rte-1", "rte-2"} {
		environment := compose.Services[node].Environment
		if environment["RTE_REDIS_ADDRESSES"] == "" {
			t.Fatalf("%s has no environment", node)
		}
		cmd := exec.Command(programs.MustBuild(t, "node"), "config", "check")
		for name, value := range environment {
			cmd.Env = append(cmd.Env, name+"="+expand(value))
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", node, err, out)
		}
	}
}

// expand replaces a variable with a default or a secret, like an operator's .env.
func expand(value string) string {
	variable, isVariable := strings.CutPrefix(value, "${")
	if !isVariable {
		return value
	}
	if _, byDefault, ok := strings.Cut(variable, ":-"); ok {
		return strings.TrimSuffix(byDefault, "}")
	}
	return rtetest.Secret
}
