package config_test

import (
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/config"
)

// events.max_bytes was accepted above the bounds of the parts that an event passes: the subscriber of Redis refused
// every event above 1 MiB, an outbox smaller than an event closed clients, and a lane's queue could not hold one.
func TestCheck_refusesBoundsSmallerThanAnEvent(t *testing.T) {
	tests := map[string]struct {
		flags []string
		want  string // empty: none
	}{
		"defaults":           {nil, ""},
		"largest by default": {[]string{"--events.max_bytes=256KiB"}, ""},
		"outbox too small":   {[]string{"--events.max_bytes=300KiB"}, "limits.outbox_bytes: must be at least 1228800"},
		"outbox for them":    {[]string{"--events.max_bytes=300KiB", "--limits.outbox_bytes=2MiB"}, ""},
		"outbox of no event": {[]string{"--limits.outbox_bytes=64KiB"}, "limits.outbox_bytes: must be at least 262144"},
		"lane queue too small": {
			[]string{"--redis.lane_queue_bytes=128KiB"}, "redis.lane_queue_bytes: must be at least 262144",
		},
		"all queues too small": {
			[]string{"--redis.total_queue_bytes=512KiB"}, "redis.total_queue_bytes: must be at least 1048576",
		},
		"publishing too small": {[]string{"--publish.max_bytes=32KiB"}, "publish.max_bytes: must be at least 65536"},
		"snapshots too small": {
			[]string{"--snapshots.memory_bytes=1KiB"}, "snapshots.memory_bytes: must be 0 or at least 65536",
		},
		"no snapshots":       {[]string{"--snapshots.memory_bytes=0"}, ""},
		"as large as can be": {[]string{"--events.max_bytes=2MiB", "--limits.outbox_bytes=8MiB"}, ""},
		"message in pieces": {
			[]string{"--limits.pending_bytes=64KiB"}, "limits.pending_bytes: must be at least limits.message_bytes",
		},
		"health of its own":     {[]string{"--health.path=/health"}, ""},
		"health without a name": {[]string{"--health.path=/"}, "health.path: must begin with a slash and be a plain path"},
		"health with a query":   {[]string{"--health.path=/a?b"}, "health.path: must begin with a slash and be a plain path"},
		"health as the hub":     {[]string{"--health.path=/RTE/"}, "health.path: must lie outside path (/rte)"},
		"health below the hub":  {[]string{"--health.path=/rte/negotiate"}, "health.path: must lie outside path (/rte)"},
		"too large":             {[]string{"--events.max_bytes=2049KiB"}, "events.max_bytes: must be at most 2097152"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			for command, check := range map[string]func(*config.Config) error{
				"serve": config.CheckServer, "dev": config.CheckDev,
			} {
				s := config.NewSources(nil, nil)
				flags := append([]string{"--auth.hmac_secret=" + strings.Repeat("s", config.MinSecret)}, tc.flags...)
				if err := s.Flags().Parse(flags); err != nil {
					t.Fatal(err)
				}
				_, err := s.Load(nil, check)
				if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
					t.Errorf("%s: got %v, want %q", command, err, tc.want)
				}
			}
		})
	}
}
