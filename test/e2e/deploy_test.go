package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/rte-server/rte-server/internal/config"
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

// readDeploy returns a file of deploy/.
func readDeploy(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../deploy/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// secondsIn returns the duration that follows a text in a file of deploy/.
func secondsIn(t *testing.T, name, before string) time.Duration {
	t.Helper()
	_, after, ok := strings.Cut(readDeploy(t, name), before)
	if !ok {
		t.Fatalf("%s has no %q", name, before)
	}
	text := strings.TrimRight(strings.Fields(after)[0], ",")
	if strings.Trim(text, "0123456789") == "" {
		text += "s"
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("%s: %s%s: %v", name, before, text, err)
	}
	return d
}

// TestDeploy_timesAgree compares the time that a node needs to stop with the time that its surroundings give it: a node
// that is killed in its drain drops the rest of its clients at once.
func TestDeploy_timesAgree(t *testing.T) {
	c := config.Default()
	whole := c.Shutdown.Delay + c.Shutdown.Wait + c.Shutdown.Drain + c.Timeouts.Close
	chart := func(key string) time.Duration { return secondsIn(t, "helm/rte-server/values.yaml", "\n  "+key+": ") }
	unit := secondsIn(t, "systemd/rte-server.service", "TimeoutStopSec=")
	compose := secondsIn(t, "compose.yaml", "stop_grace_period: ")
	checks := secondsIn(t, "haproxy.cfg", " inter ") * 2
	for name, test := range map[string]struct{ longer, shorter time.Duration }{
		"shutdown.timeout, for the whole stop":   {c.Shutdown.Timeout, whole},
		"systemd, for shutdown.timeout":          {unit, c.Shutdown.Timeout + 1},
		"compose, for shutdown.timeout":          {compose, c.Shutdown.Timeout + 1},
		"chart, for its drain":                   {chart("timeout"), chart("wait") + chart("drain") + c.Timeouts.Close},
		"shutdown.delay, for checks of HAProxy":  {c.Shutdown.Delay, checks + time.Second},
		"preStop of the chart, for the endpoint": {chart("preStop"), 2 * time.Second},
		"drain, so that clients do not herd":     {c.Shutdown.Drain, time.Minute},
	} {
		if test.longer < test.shorter {
			t.Errorf("%s: %s is too short, want %s", name, test.longer, test.shorter)
		}
	}
	if !strings.Contains(readDeploy(t, "haproxy.cfg"), " fall 2 ") {
		t.Error("haproxy.cfg: a node is gone after another number of failures than the test assumes")
	}
	grace := "terminationGracePeriodSeconds: {{ add .Values.shutdown.preStop .Values.shutdown.timeout 5 }}"
	if !strings.Contains(readDeploy(t, "helm/rte-server/templates/deployment.yaml"), grace) {
		t.Error("the chart gives a pod another time to stop than preStop and timeout and 5 s")
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
