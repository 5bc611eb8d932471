package diagnosis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Status is the result of a check.
type Status string

const (
	// OK means that the server needs no change.
	OK Status = "ok"
	// Warning means that the server works with limits.
	Warning Status = "warning"
	// Failed means that the server would not work, or not for all clients.
	Failed Status = "failed"
)

// Finding is the result of one check. None of its texts has a secret.
type Finding struct {
	// Subject is the checked server, such as "redis 127.0.0.1:6379".
	Subject string `json:"subject"`
	// Check is the checked property of the subject, such as "login".
	Check  string `json:"check"`
	Status Status `json:"status"`
	// Detail is the result in words.
	Detail string `json:"detail"`
	// Next is the next step of an operator; empty if Status is OK.
	Next string `json:"next,omitempty"`
}

// String returns the finding as one line. Texts of a foreign server cannot break it.
func (f Finding) String() string {
	text := fmt.Sprintf("%-7s %s: %s: %s", f.Status, f.Subject, f.Check, f.Detail)
	if f.Next != "" {
		text += "; next: " + f.Next
	}
	return oneLine(text)
}

// oneLine replaces characters that would end a line or control a terminal.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
}

// Write prints the findings, one on each line.
func Write(out io.Writer, findings []Finding) error {
	for _, f := range findings {
		if _, err := fmt.Fprintln(out, f); err != nil {
			return err
		}
	}
	return nil
}

// Count returns the number of findings with a status.
func Count(findings []Finding, status Status) (n int) {
	for _, f := range findings {
		if f.Status == status {
			n++
		}
	}
	return n
}

// Together makes checks at the same time and returns their findings in the order of the checks.
func Together(checks ...func() []Finding) []Finding {
	results := make([]chan []Finding, len(checks))
	for i, check := range checks {
		results[i] = make(chan []Finding, 1)
		go func() { results[i] <- check() }()
	}
	var all []Finding
	for _, result := range results {
		all = append(all, <-result...)
	}
	return all
}

// Expired reports whether a check ended because its time was over, and not because of the server.
func Expired(err error) bool { return errors.Is(err, context.DeadlineExceeded) }
