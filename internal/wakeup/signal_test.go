package wakeup_test

import (
	"testing"

	"github.com/rte-server/rte-server/internal/wakeup"
)

func TestSignal_holdsOneWakeUp(t *testing.T) {
	s := wakeup.New()
	if s.Clear() {
		t.Error("a new signal is set")
	}
	s.Set()
	s.Set()
	<-s.C()
	if s.Clear() {
		t.Error("two sets left a second wake-up")
	}
	other := s
	s.Set()
	if !other.Clear() || s.Clear() {
		t.Error("copies do not share the wake-up")
	}
}

func TestSignal_zeroNeverWakes(t *testing.T) {
	var s wakeup.Signal
	s.Set()
	if s.Clear() {
		t.Error("the zero signal is set")
	}
}

func TestSignal_wakesAWaiter(t *testing.T) {
	s, woken := wakeup.New(), make(chan struct{})
	go func() {
		<-s.C()
		close(woken)
	}()
	s.Set()
	<-woken
}

func TestSignal_allocatesNothing(t *testing.T) {
	s := wakeup.New()
	if n := testing.AllocsPerRun(100, func() { s.Set(); s.Set(); <-s.C() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
