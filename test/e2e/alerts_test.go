package e2e

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// TestAlertsWatchWhatThereIs compares the alerts with the metrics of a running node: an alert on a metric that was
// renamed would never fire.
func TestAlertsWatchWhatThereIs(t *testing.T) {
	alerts, err := os.ReadFile("../../deploy/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	redis := rtetest.MustStartRedis(t)
	metrics := startServer(t, rtetest.Settings{"redis.addresses": redis.Addr}).Metrics()
	watched := map[string]bool{}
	for _, name := range regexp.MustCompile(`\brte_\w+`).FindAllString(string(alerts), -1) {
		watched[name] = true
	}
	if len(watched) == 0 {
		t.Error("the alerts watch no metric")
	}
	for name := range watched {
		if !strings.Contains(metrics, "\n"+name+"{") && !strings.Contains(metrics, "\n"+name+" ") {
			t.Errorf("an alert watches %s, which the node does not have", name)
		}
	}
}
