package inside

import (
	"errors"
	"testing"
)

func TestParse_readsFigures(t *testing.T) {
	got, err := parse(`goos: linux
BenchmarkMemory_NoSubscribers/Call        	 4123456	       574.0 ns/op	   1742160 events/s
BenchmarkMemory_NoSubscribers/Call        	 4123456	       500.0 ns/op	   2000000 events/s
BenchmarkMemory_NoSubscribers/State-2     	 2123456	      1160 ns/op	    862069 events/s
PASS
`, 2)
	if err != nil || len(got) != 3 {
		t.Fatalf("parse = %v, %v", got, err)
	}
	if m := got[0]; m.Record != "call" || m.Published != 1742160 || m.Run != 4 || m.CPUPerEvent() != 1e6/1742160.0 {
		t.Errorf("calls are %+v", m)
	}
	if m := got[1]; m.Record != "call" || m.Run != 5 {
		t.Errorf("calls once more are %+v", m)
	}
	if m := got[2]; m.Record != "state" || m.Run != 4 || m.Published != 862069 {
		t.Errorf("states are %+v", m)
	}
}

func TestParse_refusesOutputWithoutFigures(t *testing.T) {
	for _, output := range []string{"", "PASS\n", "BenchmarkMemory_NoSubscribers/Call 1 many events/s\n"} {
		if got, err := parse(output, 1); !errors.Is(err, errOutput) {
			t.Errorf("parse(%q) = %v, %v", output, got, err)
		}
	}
}
