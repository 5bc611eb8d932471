package config

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// Absurd values were accepted: timeouts.send 1ns, auth.leeway 24h.
func TestRanges_everyDurationAndSizeHasOne(t *testing.T) {
	keys, all := newKeyList(&Config{}), ranges()
	keys.flags.VisitAll(func(f *pflag.Flag) {
		delete(all, f.Name)
		kind := f.Value.Type()
		if kind != (*span)(nil).Type() && kind != (*size)(nil).Type() {
			return
		}
		of, ok := f.Value.(ranged)
		if !ok {
			t.Errorf("%s has no range", f.Name)
			return
		}
		bounds := of.valueRange
		for _, value := range []string{f.DefValue, bounds.least, bounds.most} {
			if err := f.Value.Set(value); err != nil {
				t.Errorf("%s = %s: %v", f.Name, value, err)
			}
		}
		for kind, values := range map[string][]string{"duration": {"1ns", "100000h"}, "bytes": {"1B", "1024GiB"}} {
			if kind != f.Value.Type() {
				continue
			}
			for _, value := range values {
				if value == bounds.most {
					continue
				}
				before := f.Value.String()
				if err := f.Value.Set(value); err == nil || !strings.Contains(err.Error(), "must be between") {
					t.Errorf("%s = %s: %v", f.Name, value, err)
				}
				if f.Value.String() != before {
					t.Errorf("%s: a refused value was taken", f.Name)
				}
			}
		}
	})
	for key := range all {
		t.Errorf("%s is no key", key)
	}
}
