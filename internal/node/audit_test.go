package node

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/hub"
	"github.com/rte-server/rte-server/internal/transport"
)

// In a ramp the audit log dropped 800 of 1,000 entries about connections, and only a metric counted them.
func TestAudit_summarizesWhatItDrops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.InfoLevel)
		a := newAudit(zap.New(core), 100, nil)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- a.dropped.run(ctx) }()
		summaries := func() (all []map[string]int) {
			for _, entry := range logs.FilterMessage("entries dropped").All() {
				if entry.LoggerName != "audit" {
					t.Errorf("the logger is %q", entry.LoggerName)
				}
				all = append(all, entry.Context[0].Interface.(map[string]int))
			}
			return all
		}
		for range 1000 {
			a.refused("192.0.2.1:4711", "expired", "")
		}
		for range 150 {
			a.ended(transport.End{Claims: &authz.Claims{}, Reason: hub.CloseGone})
		}
		time.Sleep(10 * time.Second)
		want := []map[string]int{{"refused": 900, "ended": 50}}
		if diff := cmp.Diff(want, summaries()); diff != "" {
			t.Error(diff)
		}
		for range 101 { // and the node stops at once
			a.refused("192.0.2.1:4711", "expired", "")
		}
		synctest.Wait()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(append(want, map[string]int{"refused": 1}), summaries()); diff != "" {
			t.Error(diff)
		}
	})
}
