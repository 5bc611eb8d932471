package rtetest

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// Start calls run in a goroutine of its own. The function it returns ends the context, waits for run and reports its
// error.
func Start(tb testing.TB, run func(context.Context) error) (stop func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			tb.Error(err)
		}
	}
}

// MustReplaceFile replaces a file as a careful operator does: it writes the new one beside it, then renames it.
func MustReplaceFile(tb testing.TB, path string, data []byte) {
	tb.Helper()
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		tb.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		tb.Fatal(err)
	}
}

// MustReadMetric returns the value of a counter or a gauge. name is the name of the metric, followed by the values of
// its labels, each after a slash.
func MustReadMetric(tb testing.TB, registry prometheus.Gatherer, name string) float64 {
	tb.Helper()
	families, err := registry.Gather()
	if err != nil {
		tb.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			parts := []string{family.GetName()}
			for _, label := range m.GetLabel() {
				parts = append(parts, label.GetValue())
			}
			if strings.Join(parts, "/") == name {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	tb.Fatalf("no metric %s", name)
	return 0
}
