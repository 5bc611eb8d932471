// Command extract writes the facts of the published page, see package facts: catalog.json and one file for each sample
// payload.
//
//	go run ./internal/events/facts/extract -page rte-api.txt -out testdata/events
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/rte-server/rte-server/internal/events/facts"
)

func main() {
	page := flag.String("page", "", "text of the published page")
	out := flag.String("out", "testdata/events", "folder to write to")
	flag.Parse()
	if err := run(*page, *out); err != nil {
		fmt.Fprintln(os.Stderr, "extract:", err)
		os.Exit(1)
	}
}

func run(page, out string) error {
	text, err := os.ReadFile(page) //nolint:gosec // the user of the tool names the page
	if err != nil {
		return err
	}
	found, err := facts.Extract(string(text))
	if err != nil {
		return fmt.Errorf("read %s: %w", page, err)
	}
	catalog, err := facts.Marshal(found)
	if err != nil {
		return err
	}
	write := func(name string, content []byte) error {
		//nolint:gosec // test data may be readable by all
		return os.WriteFile(filepath.Join(out, name+".json"), content, 0o644)
	}
	for _, ev := range found {
		if err := write(ev.Name, ev.Payload); err != nil {
			return err
		}
	}
	return write("catalog", catalog)
}
