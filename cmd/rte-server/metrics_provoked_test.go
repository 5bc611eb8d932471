package main

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

// provokingTests returns TestMetrics_areProvoked, and tests with other aims that also provoke metrics. The package runs
// each of them once.
func provokingTests() []func(*testing.T) {
	return []func(*testing.T){
		TestMetrics_areProvoked,
		TestServe_exportsTraces,
		TestServe_goesOnWithoutCollector,
		TestPublish_reachesTap,
		TestServe_followsDirectoryInRedis,
		TestServe_undoesRevocations,
		TestServe_connectionTokenWorksOnceOverTwoNodes,
		TestShed_byOperator,
		TestReload_keepsOldValuesOfFaultyFile,
		TestServe_enforcesQuotas,
		TestServe_auditsRefusals,
		TestServe_listsAndDisconnects,
		TestServe_sendsSnapshotsByMode,
		TestServe_notifiesWhenTheDirectoryAnswers,
		TestServe_subscribesToThousandWithOneCommand,
		TestSimulate_publishesEvents,
		TestDev_servesDemo,
		TestServe_refreshesOnSingleNode,
		TestServe_reportsUnpublishedEvents,
		TestServe_closesAtExpiry,
		TestDrain_waitsForRedis,
		TestBench_reportsDeliveries,
		TestServe_startsWithoutKeys,
		TestServe_renewsCertificates,
		TestServe_endsSubscriptionsNoLongerAllowed,
	}
}

// unprovoked has a reason for each metric, and each value of a label, that these tests do not provoke.
const unprovoked = "testdata/unprovoked-metrics.txt"

// TestMetrics_areProvoked brings metrics, and the values of their labels, to a value above zero on running programs, as
// far as the other provokingTests do not. At the end of the package, checkedTests checks what both have reached.
func TestMetrics_areProvoked(t *testing.T) {
	for name, provoke := range map[string]func(*testing.T){
		"tokens": provokeTokens, "events": provokeEvents, "requests": provokeRequests, "frames": provokeFrames,
		"proxies": provokeProxies, "slow readers": provokeSlowReaders, "resume": provokeResume, "polls": provokePolls,
		"admission": provokeAdmission,
		"taps":      provokeTaps, "full Redis": provokeFullRedis, "pace": provokePace,
	} {
		t.Run(name, provoke)
	}
}

// testName returns the name of a test.
func testName(test func(*testing.T)) string {
	name := runtime.FuncForPC(reflect.ValueOf(test).Pointer()).Name()
	return name[strings.LastIndexByte(name, '.')+1:]
}

// checkedTests are the tests of the package, and the check of metrics behind them: the recorded tests run anyway, and
// take too long to run twice.
type checkedTests struct{ *testing.M }

// Run runs the tests.
func (c checkedTests) Run() int {
	for _, test := range provokingTests() {
		provoked.tests[testName(test)] = true
	}
	code := c.M.Run()
	if code != 0 {
		return code
	}
	for name := range provoked.tests {
		if !provoked.ran[name] {
			if isFiltered() {
				return 0
			}
			fmt.Fprintf(os.Stderr, "--- FAIL: metrics: %s has started no program\n", name)
			code = 1
		}
	}
	for _, problem := range provoked.problems() {
		fmt.Fprintf(os.Stderr, "--- FAIL: metrics: %s\n", problem)
		code = 1
	}
	return code
}

// isFiltered reports whether flags leave out tests.
func isFiltered() bool {
	for _, name := range []string{"test.run", "test.skip", "test.list"} {
		if flag.Lookup(name).Value.String() != "" {
			return true
		}
	}
	return false
}

// problems compares what was recorded with docs/metrics.md and with the exceptions.
func (r *metricRecorder) problems() (problems []string) {
	exceptions, err := os.ReadFile(unprovoked)
	if err != nil {
		return []string{err.Error()}
	}
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		return []string{err.Error()}
	}
	reasons := map[string]string{}
	for line := range strings.Lines(string(exceptions)) {
		name, reason, ok := strings.Cut(strings.TrimSpace(line), ": ")
		switch {
		case line == "\n" || strings.HasPrefix(line, "#"):
		case !ok || reason == "":
			problems = append(problems, fmt.Sprintf("%q has no reason", name))
		default:
			reasons[name] = reason
		}
	}
	for _, name := range r.missing() {
		if reasons[name] == "" {
			problems = append(problems,
				fmt.Sprintf("%s was never above 0: provoke it, or give a reason in %s", name, unprovoked))
		}
	}
	for _, name := range r.unseen(page) {
		if reasons[name] == "" {
			problems = append(problems, name+" is in docs/metrics.md, and no program of the tests has it")
		}
	}
	return problems
}
