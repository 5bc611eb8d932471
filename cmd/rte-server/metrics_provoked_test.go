package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// provokingTests are tests with other aims that also provoke metrics.
var provokingTests = map[string]func(*testing.T){
	"Serve exportsTraces":                        TestServe_exportsTraces,
	"Serve goesOnWithoutCollector":               TestServe_goesOnWithoutCollector,
	"Publish reachesTap":                         TestPublish_reachesTap,
	"Serve followsDirectoryInRedis":              TestServe_followsDirectoryInRedis,
	"Serve undoesRevocations":                    TestServe_undoesRevocations,
	"Serve connectionTokenWorksOnceOverTwoNodes": TestServe_connectionTokenWorksOnceOverTwoNodes,
	"Shed byOperator":                            TestShed_byOperator,
	"Reload keepsOldValuesOfFaultyFile":          TestReload_keepsOldValuesOfFaultyFile,
	"Serve enforcesQuotas":                       TestServe_enforcesQuotas,
	"Serve auditsRefusals":                       TestServe_auditsRefusals,
	"Serve listsAndDisconnects":                  TestServe_listsAndDisconnects,
	"Serve sendsSnapshotsByMode":                 TestServe_sendsSnapshotsByMode,
	"Serve notifiesWhenTheDirectoryAnswers":      TestServe_notifiesWhenTheDirectoryAnswers,
	"Serve subscribesToThousandWithOneCommand":   TestServe_subscribesToThousandWithOneCommand,
	"Simulate publishesEvents":                   TestSimulate_publishesEvents,
	"Dev servesDemo":                             TestDev_servesDemo,
	"Serve refreshesOnSingleNode":                TestServe_refreshesOnSingleNode,
	"Serve reportsUnpublishedEvents":             TestServe_reportsUnpublishedEvents,
	"Serve closesAtExpiry":                       TestServe_closesAtExpiry,
	"Drain waitsForRedis":                        TestDrain_waitsForRedis,
	"Bench reportsDeliveries":                    TestBench_reportsDeliveries,
	"Serve startsWithoutKeys":                    TestServe_startsWithoutKeys,
	"Serve renewsCertificates":                   TestServe_renewsCertificates,
	"Serve endsSubscriptionsNoLongerAllowed":     TestServe_endsSubscriptionsNoLongerAllowed,
}

// unprovoked has a reason for each metric, and each value of a label, that the test does not provoke.
const unprovoked = "testdata/unprovoked-metrics.txt"

// TestMetrics_areProvoked brings every metric, and every value of its labels, to a value above zero on running
// programs. testdata/unprovoked-metrics.txt has the exceptions and their reasons.
func TestMetrics_areProvoked(t *testing.T) {
	if os.Getenv("RTE_METRICS_PROVOKED") == "" {
		t.Skip("make metrics runs it: reading all metrics each 20 ms takes a processor for two minutes")
	}
	r := recordMetrics(t)
	for name, provoke := range map[string]func(*testing.T){
		"tokens": provokeTokens, "events": provokeEvents, "requests": provokeRequests, "frames": provokeFrames,
		"proxies": provokeProxies, "slow readers": provokeSlowReaders, "resume": provokeResume, "polls": provokePolls,
		"admission": provokeAdmission,
		"taps":      provokeTaps, "full Redis": provokeFullRedis, "pace": provokePace,
	} {
		t.Run(name, provoke)
	}
	for name, test := range provokingTests {
		t.Run(name, test)
	}
	reasons := map[string]string{}
	for line := range strings.Lines(string(mustReadFile(t, unprovoked))) {
		name, reason, ok := strings.Cut(strings.TrimSpace(line), ": ")
		switch {
		case line == "\n" || strings.HasPrefix(line, "#"):
		case !ok || reason == "":
			t.Errorf("%q has no reason", name)
		default:
			reasons[name] = reason
		}
	}
	for _, name := range r.missing() {
		if reasons[name] == "" {
			t.Errorf("%s was never above 0: provoke it, or give a reason in %s", name, unprovoked)
		}
	}
	for _, name := range r.unseen(mustReadFile(t, "../../docs/metrics.md")) {
		if reasons[name] == "" {
			t.Errorf("%s is in docs/metrics.md, and no program of the test has it", name)
		}
	}
}

func mustReadFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSpace(data)
}
