package report

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

var errDocument = errors.New("no place for the table")

// Insert replaces the text between the two lines of a document that name its maker.
func Insert(path, maker string, text []byte) error {
	begin, end := "<!-- made by "+maker+": begin -->\n", "<!-- made by "+maker+": end -->\n"
	document, err := os.ReadFile(path) //nolint:gosec // the user names the folder
	if err != nil {
		return fmt.Errorf("read document: %w", err)
	}
	before, rest, ok1 := bytes.Cut(document, []byte(begin))
	_, after, ok2 := bytes.Cut(rest, []byte(end))
	if !ok1 || !ok2 {
		return fmt.Errorf("%s: %w between %q and %q", path, errDocument, begin, end)
	}
	document = slices.Concat(before, []byte(begin), text, []byte(end), after)
	if err := os.WriteFile(path, document, 0o644); err != nil { //nolint:gosec // all users may read the documentation
		return fmt.Errorf("write document: %w", err)
	}
	return nil
}

// Machine returns the names of processor and kernel.
func Machine() string {
	processor := "unknown processor"
	if data, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(data)) {
			if name, ok := strings.CutPrefix(line, "model name"); ok {
				processor = strings.TrimSpace(strings.TrimLeft(name, "\t :"))
				break
			}
		}
	}
	kernel := "unknown kernel"
	if data, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		kernel = strings.TrimSpace(string(data))
	}
	return processor + ", Linux " + kernel
}
