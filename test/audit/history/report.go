package history

import (
	"fmt"
	"slices"
	"strings"
)

// Violation is a kind of difference between a history and the promise.
type Violation string

// The violations.
const (
	// Missing: an acknowledged event did not reach a client, and no notice covers it.
	Missing Violation = "missing"
	// Duplicated: an event reached a connection twice.
	Duplicated Violation = "duplicated"
	// Disordered: an event came after a later one of its topic, and no notice covers it.
	Disordered Violation = "out of order"
	// Foreign: an event came that the client had not subscribed to, or that no publisher sent like this.
	Foreign Violation = "foreign"
	// Late: an event came after the end of its subscription, or before its beginning.
	Late Violation = "outside the subscription"
	// Unauthorized: a client got a subscription or an event without a right to it, or on a connection whose token had
	// expired.
	Unauthorized Violation = "unauthorized"
	// Dropped: the server ended a subscription that the client had a right to.
	Dropped Violation = "subscription ended without a reason"
	// Stale: a new client got an old last state, or none.
	Stale Violation = "wrong last state"
)

// Finding is one violation, with what a reader needs to understand it.
type Finding struct {
	Violation  Violation
	Client     string
	Connection int
	Phase      string
	Event      *Event // nil: the violation is about none
	Text       string
}

// String returns the finding for people.
func (f Finding) String() string {
	where := ""
	if f.Client != "" {
		where = fmt.Sprintf(" at %s, connection %d", f.Client, f.Connection)
	}
	return fmt.Sprintf("%s%s, in %q: %s", f.Violation, where, f.Phase, f.Text)
}

// Row counts the events of a phase: those that were published in it, once for each client that had to receive them.
type Row struct {
	Phase string
	// Acknowledged counts events, all others deliveries.
	Acknowledged int
	Expected     int
	Delivered    int
	// Replaced counts states that a newer one replaced while the client lagged.
	Replaced int
	// Noticed counts, by tier, those that did not come, but lie in an interval that a notice named. Reloaded counts those
	// that did not come before the end of the connection or of the subscription.
	Noticed, Reloaded map[string]int
	// InDoubt counts those in Noticed, with a journal, whose subscription a node granted while Redis was away.
	InDoubt int
	// Moved counts events that came behind later ones, but lie in such an interval.
	Moved int
	// Closed counts the connections that ended.
	Closed int
	// Found counts the violations.
	Found map[Violation]int
}

// sum adds up the counts of the tiers.
func sum(counts map[string]int) (all int) {
	for _, n := range counts {
		all += n
	}
	return all
}

// Report is the result of Check.
type Report struct {
	Rows     []Row
	Findings []Finding
}

// Explain returns the first findings of each violation, and the number of all.
func (r *Report) Explain() string {
	const each = 3
	var text strings.Builder
	shown := map[Violation]int{}
	for _, f := range r.Findings {
		if shown[f.Violation]++; shown[f.Violation] <= each {
			fmt.Fprintf(&text, "%s\n", f)
		}
	}
	fmt.Fprintf(&text, "%d findings\n", len(r.Findings))
	return text.String()
}

// Has reports whether there are findings of a violation.
func (r *Report) Has(v Violation) bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Violation == v })
}

// Sum returns the row with the counts of all rows.
func (r *Report) Sum(name string) *Row {
	total := &Row{Phase: name, Noticed: map[string]int{}, Reloaded: map[string]int{}, Found: map[Violation]int{}}
	for i := range r.Rows {
		row := &r.Rows[i]
		total.Acknowledged += row.Acknowledged
		total.Expected += row.Expected
		total.Delivered += row.Delivered
		total.Replaced += row.Replaced
		total.InDoubt += row.InDoubt
		total.Moved += row.Moved
		total.Closed += row.Closed
		addTo(total.Noticed, row.Noticed)
		addTo(total.Reloaded, row.Reloaded)
		addTo(total.Found, row.Found)
	}
	return total
}

// addTo adds counts to others.
func addTo[K comparable](all, more map[K]int) {
	for key, n := range more {
		all[key] += n
	}
}

// Table returns the rows as a table in Markdown. first is the heading of the first column.
func (r *Report) Table(first string) string {
	var text strings.Builder
	text.WriteString("| " + first + " | acknowledged | to deliver | delivered | replaced | in a notice: T0 | T1, T2 | " +
		"before an end | reordered | ends | missing | duplicated | out of order | foreign |\n" +
		strings.Repeat("|---", 14) + "|\n")
	for i := range r.Rows {
		row := &r.Rows[i]
		foreign := row.Found[Foreign] + row.Found[Late] + row.Found[Unauthorized]
		fmt.Fprintf(&text, "| %s | %d | %d | %d | %d | %d | %d | %d | %d | %d | %d | %d | %d | %d |\n", row.Phase,
			row.Acknowledged, row.Expected, row.Delivered, row.Replaced, row.Noticed[Plain], row.Unrepaired()+row.InDoubt,
			sum(row.Reloaded), row.Moved, row.Closed, row.Found[Missing], row.Found[Duplicated], row.Found[Disordered], foreign)
	}
	return text.String()
}

// Unrepaired returns the number of events with a journal that did not come, although the connection stayed, and the
// subscription was not in doubt: the server should have read them from the journal.
func (r *Row) Unrepaired() int { return sum(r.Noticed) - r.Noticed[Plain] - r.InDoubt }
