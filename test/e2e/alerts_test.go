package e2e

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// TestAlerts_useExistingMetrics compares the alerts and their tests with the metrics of a running node: an alert for a
// renamed metric or label would never fire.
func TestAlerts_useExistingMetrics(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	metrics := strings.Split(startServer(t, rtetest.Settings{
		"redis.addresses": redis.Addr, "auth.jwks_url": "http://127.0.0.1:9/keys", "directory.kind": "http",
		"directory.url": "http://127.0.0.1:9/", "startup.timeout": "100ms", "relay.listen": "127.0.0.1:0",
	}).Metrics(), "\n")
	for _, file := range []string{"alerts.yaml", "alerts_test.yaml"} {
		text, err := os.ReadFile("../../deploy/" + file)
		if err != nil {
			t.Fatal(err)
		}
		watched := regexp.MustCompile(`\b(rte_\w+)(\{[^}]*\})?`).FindAllStringSubmatch(string(text), -1)
		if len(watched) == 0 {
			t.Errorf("%s watches no metric", file)
		}
		for _, series := range watched {
			name, labels := series[1], labelsOf(series[2])
			if !slices.ContainsFunc(metrics, func(line string) bool { return isSeries(line, name, labels) }) {
				t.Errorf("%s watches %s, which the node does not have", file, series[0])
			}
		}
	}
}

// labelsOf returns the labels of a selector that a node itself writes, in the node's form. A label with an inequality
// must also exist with that value.
func labelsOf(selector string) (labels []string) {
	for _, label := range regexp.MustCompile(`(\w+)!?=("[^"]*")`).FindAllStringSubmatch(selector, -1) {
		switch label[1] {
		case "instance", "job": // by Prometheus
		case "organization": // of organizations that lost events
		default:
			labels = append(labels, label[1]+"="+label[2])
		}
	}
	return labels
}

// isSeries reports whether a line of metrics belongs to a metric with labels.
func isSeries(line, name string, labels []string) bool {
	rest, found := strings.CutPrefix(line, name)
	if !found || !strings.HasPrefix(rest, "{") && !strings.HasPrefix(rest, " ") {
		return false
	}
	for _, label := range labels {
		if !strings.Contains(rest, label) {
			return false
		}
	}
	return true
}
