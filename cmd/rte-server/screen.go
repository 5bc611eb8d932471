package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/rte-server/rte-server/internal/loadgen"
)

// screen writes progress and colours if a person is likely to see them: on a terminal, unless NO_COLOR is set (for
// colours) or TERM is "dumb" (for both).
type screen struct {
	stderr        io.Writer
	live, colours bool
	shown         bool
}

func newScreen(p *program) *screen {
	plain := func(name, value string) bool {
		for _, variable := range p.environ {
			if key, is, _ := strings.Cut(variable, "="); key == name && is != "" && (value == "" || is == value) {
				return true
			}
		}
		return false
	}
	dumb := plain("TERM", "dumb")
	return &screen{
		stderr: p.stderr, live: isTerminal(p.stderr) && !dumb,
		colours: isTerminal(p.stdout) && !dumb && !plain("NO_COLOR", ""),
	}
}

// isTerminal reports whether a writer is a terminal.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// progress returns a function that shows how far a load has come in one line; nil where people do not see it.
func (s *screen) progress(load *loadgen.Load) func(loadgen.Progress) {
	if !s.live {
		return nil
	}
	return func(p loadgen.Progress) {
		s.shown = true
		if p.Connected < load.Clients {
			report(s.stderr, "\r\x1b[Kconnected %d of %d clients", p.Connected, load.Clients)
			return
		}
		all := int(load.Duration.Seconds() * float64(load.Rate))
		report(s.stderr, "\r\x1b[Kpublished %d of %d events, delivered %d", p.Published, all, p.Delivered)
	}
}

// clear removes the line of progress.
func (s *screen) clear() {
	if s.shown {
		report(s.stderr, "\r\x1b[K")
	}
}

// result returns the table of a load.
func (s *screen) result(r *loadgen.Report) []byte {
	conclusion, colour := "complete: every event arrived once and in order", "32"
	if !r.Complete() {
		conclusion, colour = "not complete", "31"
	}
	if s.colours {
		conclusion = "\x1b[" + colour + "m" + conclusion + "\x1b[0m"
	}
	var text []byte
	for _, row := range benchRows(r) {
		text = fmt.Appendf(text, "%-14s %s\n", row.name, row.value)
	}
	return append(text, conclusion+"\n"...)
}

// benchRow is a row of the table of a load.
type benchRow struct{ name, value string }

// benchRows returns the table of a load.
func benchRows(r *loadgen.Report) []benchRow {
	return []benchRow{
		{"published", fmt.Sprintf("%d events in %.1f s", r.Published, r.Took.Seconds())},
		{"delivered", fmt.Sprintf("%d of %d, %.0f per second",
			r.Delivered, r.Expected, float64(r.Delivered)/r.Took.Seconds())},
		{"latency", fmt.Sprintf("p50 %s, p99 %s, most %s", r.Median, r.P99, r.Worst)},
		{"lost", fmt.Sprint(r.Expected - r.Delivered)},
		{"duplicates", fmt.Sprint(r.Duplicates)},
		{"out of order", fmt.Sprint(r.Disordered)},
	}
}
