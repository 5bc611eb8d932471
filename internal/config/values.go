package config

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// The types of keys. Set reads a value of a file, the environment or a flag, and its error describes valid values.
// String writes a value as a person would. Type returns the name of the type in the documentation.

// text is any string.
type text string

func (v *text) Set(s string) error { *v = text(s); return nil }
func (v *text) String() string     { return string(*v) }
func (v *text) Type() string       { return "text" }

// list is a list of strings without commas and without spaces around them.
type list []string

func (v *list) Set(s string) error {
	*v = nil
	for item := range strings.SplitSeq(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			*v = append(*v, item)
		}
	}
	return nil
}
func (v *list) String() string { return strings.Join(*v, ",") }
func (v *list) Type() string   { return "list" }

// repeatable is a list on the command line. A repeated flag adds to the values of the one before.
type repeatable struct {
	*list

	isSet bool
}

func (v *repeatable) Set(s string) error {
	if v.isSet && v.String() != "" {
		s = v.String() + "," + s
	}
	v.isSet = true
	return v.list.Set(s)
}

// choice is one of several words.
type choice struct {
	value *string
	among []string
}

func (v choice) Set(s string) error {
	if !slices.Contains(v.among, s) {
		return fmt.Errorf("must be one of %s", strings.Join(v.among, ", "))
	}
	*v.value = s
	return nil
}
func (v choice) String() string { return *v.value }
func (v choice) Type() string   { return strings.Join(v.among, "|") }

// toggle is on or off.
type toggle bool

func (v *toggle) Set(s string) error {
	parsed, err := strconv.ParseBool(s)
	if err != nil {
		return errors.New("must be true or false")
	}
	*v = toggle(parsed)
	return nil
}
func (v *toggle) String() string { return strconv.FormatBool(bool(*v)) }
func (v *toggle) Type() string   { return "bool" }

// count is a whole number from 0.
type count int

func (v *count) Set(s string) error {
	parsed, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return errors.New("must be a whole number from 0")
	}
	*v = count(parsed)
	return nil
}
func (v *count) String() string { return strconv.Itoa(int(*v)) }
func (v *count) Type() string   { return "number" }

// size is a number of bytes.
type size int

// maxSize is more memory than a machine has. Sums and small products of sizes do not overflow.
const maxSize = min(1<<40, math.MaxInt)

// units are the units of sizes, the largest first.
var units = []struct {
	name  string
	bytes int
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

func (v *size) Set(s string) error {
	digits, unit := s, 1
	for _, u := range units {
		if rest, ok := strings.CutSuffix(s, u.name); ok {
			digits, unit = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	parsed, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || parsed > uint64(maxSize/unit) { //nolint:gosec // units are positive
		return errors.New("must be a number of bytes, such as 65536, 64KiB or 1MiB, at most 1024GiB")
	}
	*v = size(int(parsed) * unit)
	return nil
}

func (v *size) String() string {
	for _, u := range units {
		if n := int(*v); n != 0 && n%u.bytes == 0 {
			return strconv.Itoa(n/u.bytes) + u.name
		}
	}
	return "0"
}
func (v *size) Type() string { return "bytes" }

// span is a time from 0.
type span time.Duration

func (v *span) Set(s string) error {
	parsed, err := time.ParseDuration(s)
	if err != nil || parsed < 0 {
		return errors.New("must be a time, such as 500ms, 15s or 1m30s")
	}
	*v = span(parsed)
	return nil
}

func (v *span) String() string {
	s := time.Duration(*v).String()
	if long, ok := strings.CutSuffix(s, "m0s"); ok {
		s = long + "m"
	}
	if long, ok := strings.CutSuffix(s, "h0m"); ok {
		s = long + "h"
	}
	return s
}
func (v *span) Type() string { return "duration" }

// notZero is a count, size or span that must be above 0.
type notZero struct{ pflag.Value }

func (v notZero) Set(s string) error {
	if err := v.Value.Set(s); err != nil {
		return err
	}
	if text := v.String(); text == "0" || text == "0s" {
		return errors.New("must not be 0")
	}
	return nil
}
