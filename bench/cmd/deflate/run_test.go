package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRun_refusesWrongFlags(t *testing.T) {
	for name, args := range map[string][]string{
		"an argument":      {"rte"},
		"an unknown peer":  {"-peers", "unknown"},
		"a peer without":   {"-peers", "nats"},
		"no client":        {"-clients", "0"},
		"no time":          {"-speed", "0"},
		"no idle":          {"-idle", "0"},
		"speed of no kind": {"-speed", "NaN"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := run(t.Context(), args, &out, &out); !errors.Is(err, errUsage) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

// TestRun_measuresBothModes plays a short minute with the real server. Every event must arrive once.
func TestRun_measuresBothModes(t *testing.T) {
	docs := t.TempDir()
	path := filepath.Join(docs, "performance.md")
	const begin, end = "<!-- made by bench-deflate: begin -->\n", "<!-- made by bench-deflate: end -->\n"
	if err := os.WriteFile(path, []byte("before\n"+begin+"old\n"+end+"after\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, progress bytes.Buffer
	err := run(t.Context(), []string{
		"-bench", "../..", "-binaries", t.TempDir(), "-docs", docs, "-peers", "rte",
		"-clients", "3", "-idle", "20", "-speed", "60", "-pause", "10ms",
	}, &out, &progress)
	if err != nil {
		t.Fatalf("%v\n%.4000s", err, progress.String())
	}
	row := regexp.MustCompile(`(?m)^\| rte-server(?:, deflate)? \| \d+ KB \| (\d+) B `)
	rows := row.FindAllStringSubmatch(out.String(), -1)
	if len(rows) != 2 {
		t.Fatalf("%d rows:\n%s", len(rows), out.String())
	}
	plain, _ := strconv.Atoi(rows[0][1])
	deflated, _ := strconv.Atoi(rows[1][1])
	if plain < 500 || deflated < 100 || deflated > plain*2/3 {
		t.Errorf("a delivery has %d bytes, with compression %d", plain, deflated)
	}
	document, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(document), "before\n"+begin+out.String()+end+"after\n") {
		t.Errorf("the document is %q, %v", document, err)
	}
}
