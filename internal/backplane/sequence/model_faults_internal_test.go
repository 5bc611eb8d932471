//go:build faults

package sequence

import (
	"testing"
	"time"
)

// TestModel_everyStateOfLargerWorldsKeepsTheGuarantees takes minutes.
func TestModel_everyStateOfLargerWorldsKeepsTheGuarantees(t *testing.T) {
	t.Parallel()
	for name, pause := range map[string]time.Duration{"at once": 0, "slow": 3 * time.Second} {
		for _, c := range []modelCase{
			{
				"counted, interruptions",
				modelRules{tiers: onlyCounted},
				modelBounds{Publishes: 3, Repeats: 1, Canaries: 1, Cuts: 2},
				true,
			},
			{
				"counted, failover",
				modelRules{tiers: onlyCounted},
				modelBounds{Publishes: 3, Canaries: 1, Cuts: 2, Failovers: 2},
				true,
			},
			{
				"counted, trim",
				modelRules{tiers: onlyCounted},
				modelBounds{Publishes: 3, Canaries: 1, Cuts: 2, Trims: 2},
				true,
			},
			{
				"both journals, interruptions",
				modelRules{tiers: withJournaled},
				modelBounds{Publishes: 2, Repeats: 1, Canaries: 1, Cuts: 2},
				false,
			},
			{
				"journaled, interruptions",
				modelRules{tiers: []modelTier{modelJournaled}},
				modelBounds{Publishes: 3, Repeats: 1, Canaries: 1, Cuts: 2},
				true,
			},
			{
				"both journals, failover",
				modelRules{tiers: withJournaled},
				modelBounds{Publishes: 2, Canaries: 1, Cuts: 1, Failovers: 1, Trims: 1},
				true,
			},
			{
				"counted and plain, interruptions and overflow",
				modelRules{tiers: withPlain},
				modelBounds{Publishes: 2, Repeats: 1, Canaries: 1, Cuts: 1, Overflows: 1},
				false,
			},
			{
				"counted and plain, from another node",
				modelRules{tiers: withPlain, peers: true},
				modelBounds{Publishes: 3, Canaries: 1, Cuts: 2},
				false,
			},
			{
				"all, all faults once",
				modelRules{tiers: []modelTier{modelCounted, modelJournaled, modelPlain}},
				modelBounds{Publishes: 2, Repeats: 1, Canaries: 1, Cuts: 1, Overflows: 1, Failovers: 1, Trims: 1},
				false,
			},
		} {
			c.rules.pause = pause
			t.Run(c.name+", "+name, func(t *testing.T) { c.check(t) })
		}
	}
}
