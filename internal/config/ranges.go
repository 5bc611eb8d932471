package config

import (
	"fmt"

	"github.com/spf13/pflag"
)

// valueRange is the range of a duration or a size, as written in a configuration. Outside it the value is a slip: the
// unit is missing or wrong, or no part can work with it. 0 is checked elsewhere: it means off, or positive refuses it.
type valueRange struct{ least, most string }

// ranges returns the ranges of durations and sizes by key; the others have those of addRanges. They are wide: every
// value with a use is in range.
func ranges() map[string]valueRange {
	return map[string]valueRange{
		"publish.max_bytes": {"1KiB", "1GiB"},
		"publish.timeout":   {"10ms", "1h"},
		"publish.window":    {"1s", "168h"},

		"auth.leeway":          {"1ms", "15m"},
		"auth.max_token_bytes": {"256B", "1MiB"},
		"auth.revocation_ttl":  {"1s", "87600h"},
		"auth.expiry_grace":    {"1ms", "1h"},

		"directory.timeout":     {"1ms", "1m"},
		"directory.known_ttl":   {"1ms", "24h"},
		"directory.unknown_ttl": {"1ms", "24h"},
		"directory.cache_bytes": {"1KiB", "64GiB"},

		"redis.linger":            {"1ms", "24h"},
		"redis.watch":             {"1ms", "24h"},
		"redis.probe_interval":    {"10ms", "1m"},
		"redis.probe_timeout":     {"20ms", "5m"},
		"redis.dial_timeout":      {"10ms", "1m"},
		"redis.command_timeout":   {"10ms", "1m"},
		"redis.lane_queue_bytes":  {"4KiB", "64GiB"},
		"redis.total_queue_bytes": {"4KiB", "256GiB"},

		"events.max_bytes":  {"256B", "1GiB"},
		"events.clock_skew": {"1ms", "1h"},

		"limits.message_bytes":      {"1KiB", "64MiB"},
		"limits.pending_bytes":      {"1KiB", "64GiB"},
		"limits.frame_bytes":        {"1KiB", "1GiB"},
		"limits.unread_bytes":       {"1KiB", "64MiB"},
		"limits.header_bytes":       {"1KiB", "16MiB"},
		"limits.answer_bytes":       {"64KiB", "64GiB"},
		"limits.outbox_bytes":       {"1KiB", "1GiB"},
		"limits.total_outbox_bytes": {"64KiB", "256GiB"},
		"limits.outbox_age":         {"100ms", "1h"},
		"snapshots.memory_bytes":    {"1KiB", "256GiB"},
		"trace.bytes":               {"1KiB", "64GiB"},
		"tap.bytes":                 {"64KiB", "1GiB"},

		"tracing.timeout":     {"10ms", "1m"},
		"admission.wait":      {"1ms", "10m"},
		"admission.full_wait": {"1ms", "10m"},

		"timeouts.read_header": {"10ms", "10m"},
		"timeouts.negotiate":   {"15s", "1h"}, // N12
		"timeouts.handshake":   {"10ms", "10m"},
		"timeouts.keep_alive":  {"10ms", "1h"},
		"timeouts.client":      {"20ms", "24h"},
		"timeouts.send":        {"10ms", "10m"},
		"timeouts.unconfirmed": {"10ms", "10m"},
		"timeouts.close":       {"10ms", "24h"},
		"timeouts.idle":        {"10ms", "1h"},
		"timeouts.hold":        {"1ms", "5m"},
		"timeouts.poll":        {"100ms", "1h"},
		"timeouts.invocation":  {"10ms", "10m"},
		"timeouts.subscribe":   {"1ms", "1m"},
		"timeouts.snapshot":    {"1ms", "1m"},

		"fanout.rest":         {"1us", "1s"},
		"resync.window":       {"1ms", "1h"},
		"resync.close_window": {"1ms", "1h"},
		"rebalance.after":     {"1ms", "24h"},
		"startup.timeout":     {"10ms", "1h"},
		"shutdown.delay":      {"1ms", "1h"},
		"shutdown.drain":      {"1ms", "24h"},
		"shutdown.wait":       {"1ms", "24h"},
		"shutdown.timeout":    {"10ms", "48h"},
	}
}

// ranged is a duration or a size with a range.
type ranged struct {
	pflag.Value
	valueRange
}

// Set implements pflag.Value.
func (v ranged) Set(s string) error {
	before := v.String()
	if err := v.Value.Set(s); err != nil {
		return err
	}
	n := number(v.Value)
	if n == 0 || n >= v.parse(v.least) && n <= v.parse(v.most) {
		return nil
	}
	_ = v.Value.Set(before) // it was a value
	return fmt.Errorf("must be between %s and %s", v.least, v.most)
}

// parse returns the number of a bound, which has the form of the value.
func (v ranged) parse(text string) int64 {
	var bound pflag.Value = new(size)
	if v.Type() == (*span)(nil).Type() {
		bound = new(span)
	}
	if err := bound.Set(text); err != nil {
		panic(fmt.Sprintf("range %q: %v", text, err))
	}
	return number(bound)
}

// number returns the bytes of a size or the nanoseconds of a duration; 0 for any other value.
func number(v pflag.Value) int64 {
	switch v := v.(type) {
	case notZero:
		return number(v.Value)
	case *size:
		return int64(*v)
	case *span:
		return int64(*v)
	default:
		return 0
	}
}

// addRanges gives every duration and every size its range.
func (k *keyList) addRanges() {
	own := ranges()
	k.flags.VisitAll(func(f *pflag.Flag) {
		r, ok := own[f.Name]
		switch kind := f.Value.Type(); {
		case ok:
		case kind == (*span)(nil).Type():
			r = valueRange{"1ms", "24h"}
		case kind == (*size)(nil).Type():
			r = valueRange{"1KiB", "256GiB"}
		default:
			return
		}
		f.Value = ranged{f.Value, r}
	})
}
