package node

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/config"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/logsink"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// metricsDoc is the page that lists all metrics. RTE_METRICS_DOC=1 (make generate) writes it.
const metricsDoc = "../../docs/metrics.md"

// maxListedValues bounds the values of a label that the page names.
const maxListedValues = 14

// TestMetrics_areDocumented compares docs/metrics.md with the metrics of nodes that have everything switched on.
func TestMetrics_areDocumented(t *testing.T) {
	text := describeMetrics(registered(t))
	if os.Getenv("RTE_METRICS_DOC") != "" {
		if err := os.WriteFile(metricsDoc, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	page, err := os.ReadFile(metricsDoc)
	if err != nil {
		t.Fatal(err)
	}
	if string(page) != text {
		t.Error("docs/metrics.md differs from the metrics of the program: make generate")
	}
}

// registered returns the metrics of three nodes, which have different directories, by name.
func registered(t *testing.T) map[string]*dto.MetricFamily {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	all := map[string]*dto.MetricFamily{}
	for _, change := range []func(c *config.Config){
		func(c *config.Config) {
			c.Redis.Addresses = []string{"127.0.0.1:9"}
			c.Relay.Listen = "127.0.0.1:0"
			c.Directory.Kind, c.Directory.URL = "http", "http://127.0.0.1:9/"
			c.Auth.JWKSURL = []string{"http://127.0.0.1:9/"}
			c.Auth.Refresh = true
			c.Tracing.Endpoint = "http://127.0.0.1:9/"
		},
		func(c *config.Config) {
			c.Directory.Kind, c.Directory.File = "file", write("directory.yaml", "entities: []\n")
		},
		func(c *config.Config) {
			c.Policy.File = write("policy.yaml", string(mustRead(t, "../authz/policy.yaml")))
			c.Auth.PublicKeyFile = write("keys.pem", mustMakePublicKey(t))
		},
	} {
		c := config.Default()
		c.Listen, c.Console.Listen, c.Auth.HMACSecret = "127.0.0.1:0", "127.0.0.1:0", rtetest.Secret
		c.Shutdown.Delay, c.Shutdown.Drain = 0, 0
		change(c)
		sink := logsink.Start(io.Discard)
		n, err := New(Options{Config: c, Logger: zap.NewNop(), Sink: sink, Version: "1"})
		if err != nil {
			t.Fatal(err)
		}
		for _, gatherer := range []interface {
			Gather() ([]*dto.MetricFamily, error)
		}{n.registry, newOrganizationMetrics(oneOrganization)} {
			families, err := gatherer.Gather()
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range families {
				all[f.GetName()] = f
			}
		}
		ended, end := context.WithCancel(t.Context())
		end()
		if err := n.Run(ended); err != nil { // closes the ports
			t.Fatal(err)
		}
		if err := sink.Close(time.Minute); err != nil {
			t.Error(err)
		}
	}
	return all
}

func oneOrganization() map[events.ID]*organizationUse {
	return map[events.ID]*organizationUse{{1}: {}}
}

func mustMakePublicKey(t *testing.T) string {
	t.Helper()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// describeMetrics makes the page.
func describeMetrics(all map[string]*dto.MetricFamily) string {
	page := strings.Builder{}
	page.WriteString("# Metrics\n\n<!-- Made by make generate from the metrics that the program registers. -->\n\n" +
		"`GET /metrics` on the operator port, in the text format of Prometheus; `GET /metrics/organizations` has the\n" +
		"metrics `rte_organization_...`. Counters end in `_total`. Metrics of a part that is not configured are missing.\n" +
		"Metrics `go_...` and `process_...` of the Go runtime are not listed. [The runbook](../deploy/runbook.md)\n" +
		"explains what to do about the important ones, [slo.md](slo.md) which of them are objectives.\n")
	section := ""
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") {
			continue
		}
		family := all[name]
		if words := strings.SplitN(name, "_", 3); words[0]+"_"+words[1] != section {
			section = words[0] + "_" + words[1]
			fmt.Fprintf(&page, "\n## %s\n\n| metric | type | unit | labels | meaning |\n|---|---|---|---|---|\n", section)
		}
		fmt.Fprintf(&page, "| `%s` | %s | %s | %s | %s |\n", name, strings.ToLower(family.GetType().String()), unitOf(name),
			labelsOf(family), strings.ReplaceAll(family.GetHelp(), "|", `\|`))
	}
	return page.String()
}

// unitOf returns the unit in the name of a metric; empty: it is a number.
func unitOf(name string) string {
	name = strings.TrimSuffix(name, "_total")
	for _, unit := range []string{"bytes", "seconds", "deliveries", "entries"} {
		if strings.HasSuffix(name, "_"+unit) || strings.Contains(name, "_"+unit+"_limit") {
			return unit
		}
	}
	return ""
}

// labelsOf returns the labels of a metric, with their values if these are few and always the same.
func labelsOf(family *dto.MetricFamily) string {
	values := map[string]map[string]bool{}
	for _, m := range family.GetMetric() {
		for _, label := range m.GetLabel() {
			if values[label.GetName()] == nil {
				values[label.GetName()] = map[string]bool{}
			}
			values[label.GetName()][label.GetValue()] = true
		}
	}
	var labels []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		text := "`" + name + "`"
		listed := slices.Sorted(maps.Keys(values[name]))
		if len(listed) <= maxListedValues && name != "version" && name != "go" && name != "organization" {
			text += ": " + strings.Join(listed, ", ")
		}
		labels = append(labels, text)
	}
	return strings.Join(labels, "; ")
}
