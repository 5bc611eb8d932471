package dotnet

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"
)

// reasonOf returns the name of the difference in package meant that two outcomes of a conversation have; empty if it is
// none of those.
func reasonOf(c *conversation, ours, theirs outcome) string {
	for _, r := range rules() {
		if r.holds(difference{c, ours, theirs}) {
			return r.name
		}
	}
	return ""
}

// difference is a conversation with what both servers answered.
type difference struct {
	*conversation
	ours, theirs outcome
}

// rule recognizes a difference that is meant.
type rule struct {
	name  string // in package meant
	holds func(difference) bool
}

// rules returns the rules in the order in which they are tried.
func rules() []rule {
	return []rule{
		{"unknown types", func(d difference) bool { return slices.Contains(d.theirs, "silent") && goesOn(d.ours) }},
		{"spelling of methods", func(d difference) bool { return strings.EqualFold(d.ours.String(), d.theirs.String()) }},
		{"arguments of AvailableSubscriptions", func(d difference) bool {
			return strings.Contains(d.theirs.String(), "Failed to invoke 'AvailableSubscriptions'")
		}},
		{"invalid UTF-8", func(d difference) bool {
			return !utf8.Valid(d.text()) && !d.binary || strings.Contains(d.theirs.String(), "\ufffd")
		}},
		{"half a character", func(d difference) bool { return bytes.Contains(d.message, []byte(`\ud800`)) }},
		{"strict JSON", func(d difference) bool {
			return !d.binary && !json.Valid(d.text()) && (fails(d.ours) || d.base() == "handshake")
		}},
		{"names that occur twice", func(d difference) bool { return !d.binary && strings.Contains(d.name, "again ") }},
		{"an id that is null", func(d difference) bool { return bytes.Contains(d.message, []byte(`"invocationId":null`)) }},
		{"items of streams", func(d difference) bool {
			return d.base() == "stream item" && fails(d.ours) && goesOn(d.theirs)
		}},
		{"messages that nothing is done with", func(d difference) bool {
			return slices.Contains([]string{"ack", "completion", "stream item", "cancel", "close", "ping"}, d.base()) &&
				fails(d.theirs) && !fails(d.ours)
		}},
		{"properties of other types", func(d difference) bool {
			return !d.binary && strings.Contains(d.name, "more") && (!fails(d.ours) ||
				bytes.Contains(d.message, []byte(`"item":`)))
		}},
		{
			"calls of streams",
			func(d difference) bool { return d.base() == "stream invocation" && (!fails(d.ours) || d.withoutID()) },
		},
		{"stream ids", func(d difference) bool { return d.binary && fails(d.theirs) && !fails(d.ours) }},
		{"lengths that are wrong", func(d difference) bool {
			return strings.Contains(d.name, "a length that is too small") && fails(d.ours)
		}},
		{"null for a list", func(d difference) bool {
			return strings.Contains(d.theirs.String(), "An unexpected error occurred invoking")
		}},
	}
}

// base returns what a conversation was before it was changed.
func (d difference) base() string {
	base, _, _ := strings.Cut(d.name, ", ")
	return base
}

// text returns what was sent, without the separators of the JSON protocol.
func (d difference) text() []byte {
	return bytes.Trim(slices.Concat(d.handshake, d.message), "\x1e")
}

// withoutID reports whether a JSON message has no id of an invocation.
func (d difference) withoutID() bool {
	return !d.binary && !bytes.Contains(d.message, []byte(`"invocationId"`))
}

// goesOn reports whether the connection works in the end.
func goesOn(o outcome) bool { return strings.HasPrefix(o[len(o)-1], `3 "probe"`) }

// fails reports whether the server ended the connection with an error.
func fails(o outcome) bool {
	return slices.ContainsFunc(o, func(text string) bool { return strings.HasPrefix(text, `7 "`) })
}
