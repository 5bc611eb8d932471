package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// TestDashboard_everyQueryReturnsData runs the queries of deploy/grafana against a Prometheus that scrapes a node with
// a client and an event: a panel with a renamed metric would stay empty without an error.
func TestDashboard_everyQueryReturnsData(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	srv := startServer(t, rtetest.Settings{"redis.addresses": redis.Addr})
	prometheus := startPrometheus(t, srv)
	c := connect(t, clientOptions{URL: srv.HubURL, Token: mustTokenOfAgent(t, authz.RoleAgent)})
	var results []subscriptionResult
	c.mustInvoke(&results, "Subscribe", subscribeTo(ourAgent, "UserStatus"))
	publish(t, redis, lane(ourOrganization), userStatus(ourOrganization, ourAgent, 1))
	c.next()

	queries := dashboardQueries(t)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(rtetest.Patience); ; <-tick.C {
		empty := ""
		for _, query := range queries {
			if prometheus.count(t, query.expr) == 0 {
				empty = query.panel + ": " + query.expr
				break
			}
		}
		if empty == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no data for %s", empty)
		}
	}
}

type dashboardQuery struct{ panel, expr string }

// dashboardQueries returns the queries of all panels, with the variables as Grafana would fill them.
func dashboardQueries(t *testing.T) (queries []dashboardQuery) {
	t.Helper()
	text, err := os.ReadFile("../../deploy/grafana/rte-server.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("$__rate_interval", "30s", "$instance", ".*", "$job", "rte")
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			queries = append(queries, dashboardQuery{panel.Title, fill.Replace(target.Expr)})
		}
	}
	if len(queries) < 60 {
		t.Fatalf("the dashboard has %d queries, want 60 or more", len(queries))
	}
	return queries
}

type prometheusServer struct{ url string }

// startPrometheus starts Prometheus, which scrapes both paths of a node twice a second, with the jobs of
// deploy/prometheus.yml. The end of the test stops it.
func startPrometheus(t *testing.T, srv *rtetest.Server) prometheusServer {
	t.Helper()
	program := rtetest.MustLookPath(t, "prometheus", "apt-get install prometheus")
	dir, addr := t.TempDir(), rtetest.MustFreeAddr(t)
	config := "scrape_configs:\n"
	for job, from := range map[string]string{"rte": "/metrics", "rte-organizations": "/metrics/organizations"} {
		config += fmt.Sprintf("- job_name: %s\n  metrics_path: %s\n  scrape_interval: 500ms\n  scrape_timeout: 400ms\n"+
			"  static_configs: [{targets: [%q]}]\n", job, from, strings.TrimPrefix(srv.ConsoleURL, "http://"))
	}
	path := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--config.file="+path, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+addr, "--log.level=warn")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
	})
	return prometheusServer{url: "http://" + addr}
}

// count returns the number of series that a query returns; 0 while Prometheus does not answer.
func (p prometheusServer) count(t *testing.T, expr string) int {
	t.Helper()
	response, err := httpClient.Get(p.url + "/api/v1/query?query=" + url.QueryEscape(expr))
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	var answer struct {
		Error string
		Data  struct{ Result []json.RawMessage }
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return 0
	}
	if response.StatusCode == http.StatusBadRequest {
		t.Fatalf("%s: %s", expr, answer.Error)
	}
	return len(answer.Data.Result)
}
