package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/config"
)

func TestCheck_admission(t *testing.T) {
	for name, test := range map[string]struct {
		change           func(*config.Admission)
		problem, warning string // empty: none
	}{
		"defaults": {change: func(*config.Admission) {}},
		"a rate":   {change: func(a *config.Admission) { a.Rate, a.Burst = 500, 50 }},
		"burst without rate": {
			change: func(a *config.Admission) { a.Burst = 50 }, problem: "admission.burst: has no meaning",
		},
		"rate without wait": {
			change: func(a *config.Admission) { a.Rate, a.Wait = 500, 0 }, problem: "admission.wait: must not be 0",
		},
		"long wait": {
			change: func(a *config.Admission) { a.Wait = time.Minute }, warning: "admission.wait: above 25s, load balancers",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := config.Default()
			c.Auth.HMACSecret = strings.Repeat("s", config.MinSecret)
			test.change(&c.Admission)
			err := config.CheckServer(c)
			if (err != nil) != (test.problem != "") || err != nil && !strings.Contains(err.Error(), test.problem) {
				t.Errorf("%v, want %q", err, test.problem)
			}
			warnings := strings.Join(c.Warnings(), "\n")
			if (warnings != "") != (test.warning != "") || !strings.Contains(warnings, test.warning) {
				t.Errorf("%q, want %q", warnings, test.warning)
			}
		})
	}
}
