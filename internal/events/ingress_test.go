package events_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rte-server/rte-server/internal/events"
)

// counted checks that reg has the metrics, given in the text format without the common prefix.
func counted(t *testing.T, reg *prometheus.Registry, want ...string) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			labels := ""
			for _, l := range m.GetLabel() {
				labels += fmt.Sprintf("{%s}", l.GetValue())
			}
			got[fmt.Sprintf("%s%s %v", family.GetName(), labels, m.GetCounter().GetValue()+m.GetGauge().GetValue())] = true
		}
	}
	for _, line := range want {
		if !got["rte_events_"+line] {
			t.Errorf("no %q among %v", line, got)
		}
	}
}

func TestIngress_countsAndQuarantinesRefusedMessages(t *testing.T) {
	reg := prometheus.NewRegistry()
	in := events.NewIngress(events.IngressOptions{Catalog: events.Builtin().Limit(1000), Registerer: reg})
	refuse := func(data string, want events.Reason) {
		t.Helper()
		if ev, err := in.Decode([]byte(data)); !errors.Is(err, want) || ev.Data != nil {
			t.Errorf("got %+v, %v, want %v", ev, err, want)
		}
	}
	refuse("hello", events.ReasonNotJSON)
	refuse(strings.Replace(routed, "UserStatus", "UserUnknown", 1), events.ReasonUnknownEvent)
	refuse(strings.Replace(routed, `"User"`, `"Queue"`, 1), events.ReasonWrongEntityType)
	refuse(strings.Repeat("\xff", 1<<20), events.ReasonTooLarge)
	in.Refused([]byte(routed), fmt.Errorf("encode event: %w", events.ReasonInvalidUTF8))
	in.Refused([]byte(routed), io.ErrUnexpectedEOF) // an error without a Reason

	counted(t, reg,
		"refused_total{not_json} 1", "refused_total{unknown_event} 1", "refused_total{wrong_entity_type} 1",
		"refused_total{too_large} 1", "refused_total{invalid_utf8} 1", "refused_total{no_entity} 0",
		"deviations_total{missing} 0", "checked_total 0", "unknown_total 0",
		"quarantine_length 5", "quarantine_capacity 64", "quarantine_replaced_total 0")
	got := in.Quarantined()
	if len(got) != 5 || got[0].Reason != "invalid_utf8" || got[4].Reason != "not_json" || got[4].Excerpt != "hello" ||
		got[4].Bytes != 5 {
		t.Errorf("got %+v", got)
	}
	in.Refused([]byte("{"+strings.Repeat("a", 2000)), events.ReasonNotJSON)
	if excerpt := in.Quarantined()[0].Excerpt; excerpt != "{"+strings.Repeat("a", 1023) {
		t.Errorf("an excerpt has %d bytes", len(excerpt))
	}
	if large := got[1]; large.Bytes != 1<<20 || len(large.Excerpt) > 1024 || !utf8.ValidString(large.Excerpt) {
		t.Errorf("the excerpt of a large message has %d bytes: %q", len(large.Excerpt), large.Excerpt)
	}
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("metrics: %v, %v", problems, err)
	}
}

func TestIngress_quarantineIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		in := events.NewIngress(events.IngressOptions{Catalog: events.Builtin(), Quarantine: 3, Registerer: reg})
		for i := range 8 {
			if i < 5 {
				_, _ = in.Decode([]byte(fmt.Sprint("x", i)))
			}
			time.Sleep(time.Second)
		}
		got := in.Quarantined()
		if len(got) != 3 || got[0].Excerpt != "x4" || got[1].Excerpt != "x3" || got[2].Excerpt != "x2" {
			t.Errorf("got %+v", got)
		}
		if age := time.Since(got[0].Time); age != 4*time.Second {
			t.Errorf("the newest message is %v old", age)
		}
		counted(t, reg, "quarantine_length 3", "quarantine_capacity 3", "quarantine_replaced_total 2")
	})
}

// Operators may forbid payloads in the memory of a node.
func TestIngress_canKeepNoMessages(t *testing.T) {
	reg := prometheus.NewRegistry()
	in := events.NewIngress(events.IngressOptions{Catalog: events.Builtin(), Quarantine: -1, Registerer: reg})
	if _, err := in.Decode([]byte("x")); err == nil {
		t.Error("x was accepted")
	}
	if got := in.Quarantined(); len(got) != 0 {
		t.Errorf("got %+v", got)
	}
	counted(
		t, reg, "refused_total{not_json} 1", "quarantine_length 0", "quarantine_capacity 0", "quarantine_replaced_total 0",
	)
}

func TestIngress_passesUnknownEvents(t *testing.T) {
	unknown := strings.Replace(routed, "UserStatus", "UserUnknown", 1)
	reg := prometheus.NewRegistry()
	in := events.NewIngress(events.IngressOptions{Catalog: events.Builtin(), Unknown: events.PassUnknown, Registerer: reg})
	ev, err := in.Decode([]byte(unknown))
	if err != nil || ev.Type != 0 || ev.Entity != mustID(t, entityText) || string(ev.Data) != unknown ||
		ev.TTLSeconds != -1 {
		t.Errorf("got %+v, %v", ev, err)
	}
	if _, err := in.Decode([]byte(strings.Replace(unknown, entityText, "x", 1))); !errors.Is(err, events.ReasonNoEntity) {
		t.Errorf("without an entity: %v", err)
	}
	counted(
		t, reg, "unknown_total 1", "refused_total{unknown_event} 0", "refused_total{no_entity} 1", "quarantine_length 1",
	)
}

func TestIngress_validates(t *testing.T) {
	deviating := strings.Replace(string(sample(t, "UserStatus")), `"Talking": false`, `"Talking": "no"`, 1)

	t.Run("All", func(t *testing.T) {
		reg := prometheus.NewRegistry()
		in := events.NewIngress(
			events.IngressOptions{Catalog: events.Builtin(), Validation: events.ValidateAll, Registerer: reg},
		)
		for range 3 {
			if ev, err := in.Decode([]byte(deviating)); err != nil || ev.Data == nil {
				t.Errorf("an event with a deviation was refused: %v", err)
			}
		}
		if _, err := in.Decode(sample(t, "QueueStatus")); err != nil {
			t.Error(err)
		}
		invalid := strings.Replace(routed, "{", "{\"A\":\"\xff\",", 1)
		if _, err := in.Decode([]byte(invalid)); !errors.Is(err, events.ReasonInvalidUTF8) {
			t.Errorf("got %v", err)
		}
		counted(
			t, reg, "checked_total 5", "deviations_total{wrong_type} 3", "deviations_total{missing} 0",
			"refused_total{invalid_utf8} 1", "quarantine_length 4",
		)
		if got := in.Quarantined()[1]; got.Reason != "wrong_type" || got.Property != "Talking" {
			t.Errorf("got %+v", got)
		}
	})

	t.Run("Sample", func(t *testing.T) {
		reg := prometheus.NewRegistry()
		in := events.NewIngress(events.IngressOptions{Catalog: events.Builtin(), SampleEvery: 10, Registerer: reg})
		for range 100 {
			if _, err := in.Decode([]byte(deviating)); err != nil {
				t.Fatal(err)
			}
		}
		counted(t, reg, "checked_total 11", "deviations_total{wrong_type} 11")
		if _, err := in.Decode(sample(t, "QueueStatus")); err != nil {
			t.Fatal(err)
		}
		counted(t, reg, "checked_total 12")
	})

	t.Run("SampleOfEachType", func(t *testing.T) {
		reg := prometheus.NewRegistry()
		in := events.NewIngress(events.IngressOptions{Catalog: events.Builtin(), SampleEvery: 1 << 40, Registerer: reg})
		for range 2 {
			for _, name := range events.Builtin().Names() {
				if _, err := in.Decode(sample(t, name)); err != nil {
					t.Fatal(err)
				}
			}
		}
		counted(t, reg, "checked_total 31")
	})

	t.Run("Off", func(t *testing.T) {
		reg := prometheus.NewRegistry()
		in := events.NewIngress(
			events.IngressOptions{Catalog: events.Builtin(), Validation: events.ValidateOff, Registerer: reg},
		)
		if _, err := in.Decode([]byte(deviating)); err != nil {
			t.Fatal(err)
		}
		counted(t, reg, "checked_total 0", "deviations_total{wrong_type} 0", "quarantine_length 0")
	})
}

func TestIngress_isSafeForConcurrentUse(t *testing.T) {
	reg := prometheus.NewRegistry()
	in := events.NewIngress(
		events.IngressOptions{Catalog: events.Builtin(), Quarantine: 2, SampleEvery: 2, Registerer: reg},
	)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 100 {
				_, _ = in.Decode([]byte(routed))
				_, _ = in.Decode([]byte("x"))
				in.Quarantined()
			}
		})
	}
	all.Wait()
	counted(t, reg, "refused_total{not_json} 400", "quarantine_length 2")
}

func TestIngress_parsesSettings(t *testing.T) {
	for text, want := range map[string]events.Validation{
		"off": events.ValidateOff, "sample": events.ValidateSample, "all": events.ValidateAll,
	} {
		if got, err := events.ParseValidation(text); err != nil || got != want {
			t.Errorf("%s: got %v, %v", text, got, err)
		}
	}
	for text, want := range map[string]events.UnknownPolicy{"drop": events.DropUnknown, "pass": events.PassUnknown} {
		if got, err := events.ParseUnknownPolicy(text); err != nil || got != want {
			t.Errorf("%s: got %v, %v", text, got, err)
		}
	}
	if _, err := events.ParseValidation("some"); err == nil {
		t.Error("some: no error")
	}
	if _, err := events.ParseUnknownPolicy(""); err == nil {
		t.Error("empty: no error")
	}
}

func TestIngress_readsOnlyWantedEvents(t *testing.T) {
	none := func(events.Topic) bool { return false }
	broken := strings.TrimSuffix(strings.TrimSpace(routed), "}") + `,"Rest":`
	if _, err := events.Builtin().Decode([]byte(broken)); !errors.Is(err, events.ReasonNotJSON) {
		t.Fatalf("the sample is well-formed: %v", err)
	}

	t.Run("Unwanted", func(t *testing.T) {
		reg := prometheus.NewRegistry()
		in := events.NewIngress(
			events.IngressOptions{Catalog: events.Builtin(), Validation: events.ValidateOff, Registerer: reg},
		)
		var seen events.Topic
		_, ok, err := in.DecodeIf([]byte(broken), func(t events.Topic) bool { seen = t; return false })
		if ok || err != nil || seen.Entity != mustID(t, entityText) {
			t.Errorf("got %v, %v for %v; text behind the topic must not be read", ok, err, seen)
		}
		if _, _, err := in.DecodeIf([]byte("hello"), none); !errors.Is(err, events.ReasonNotJSON) {
			t.Errorf("message without a topic: %v", err)
		}
		counted(t, reg, "refused_total{not_json} 1", "checked_total 0", "quarantine_length 1")
	})

	t.Run("Wanted", func(t *testing.T) {
		in := events.NewIngress(events.IngressOptions{Catalog: events.Builtin()})
		want, err := in.Decode([]byte(routed))
		if err != nil {
			t.Fatal(err)
		}
		got, ok, err := in.DecodeIf([]byte(routed), func(events.Topic) bool { return true })
		if diff := cmp.Diff(want, got); !ok || err != nil || diff != "" {
			t.Errorf("%v, %v\n%s", ok, err, diff)
		}
	})

	t.Run("Skimmed", func(t *testing.T) {
		in := events.NewIngress(events.IngressOptions{Catalog: events.Builtin(), Validation: events.ValidateOff})
		last := strings.Replace(routed, "}", `,"Number":1,"Id":"`+entityText+`"}`, 1)
		full, err := in.Decode([]byte(last))
		if err != nil {
			t.Fatal(err)
		}
		for _, data := range []string{last, strings.Replace(routed, "{", `{"Id":"`+entityText+`",`, 1)} {
			want := events.Event{Topic: full.Topic, ID: full.ID, Data: []byte(data)}
			got, ok, err := in.Skim([]byte(data), none)
			if diff := cmp.Diff(want, got); ok || err != nil || diff != "" || got.ID == (events.ID{}) {
				t.Errorf("%v, %v\n%s", ok, err, diff)
			}
		}
		got, ok, err := in.Skim([]byte(last), func(events.Topic) bool { return true })
		if diff := cmp.Diff(full, got); !ok || err != nil || diff != "" {
			t.Errorf("%v, %v\n%s", ok, err, diff)
		}
	})

	t.Run("TheSampleIsOfAllEvents", func(t *testing.T) {
		reg := prometheus.NewRegistry()
		in := events.NewIngress(events.IngressOptions{Catalog: events.Builtin(), SampleEvery: 4, Registerer: reg})
		for range 9 {
			if _, ok, err := in.DecodeIf([]byte(routed), none); ok || err != nil {
				t.Errorf("got %v, %v", ok, err)
			}
		}
		counted(t, reg, "checked_total 3") // the first, the fourth and the eighth
	})

	t.Run("AllAreCompared", func(t *testing.T) {
		reg := prometheus.NewRegistry()
		in := events.NewIngress(
			events.IngressOptions{Catalog: events.Builtin(), Validation: events.ValidateAll, Registerer: reg},
		)
		if _, _, err := in.DecodeIf([]byte(broken), none); !errors.Is(err, events.ReasonNotJSON) {
			t.Errorf("malformed behind the topic: %v", err)
		}
		counted(t, reg, "refused_total{not_json} 1")
	})
}

func TestIngress_unwantedEventsAllocateNothing(t *testing.T) {
	in := events.NewIngress(events.IngressOptions{Catalog: events.Builtin(), Validation: events.ValidateOff})
	data, none := userStatus1KB(t), func(events.Topic) bool { return false }
	if allocs := testing.AllocsPerRun(100, func() { _, _, _ = in.DecodeIf(data, none) }); allocs != 0 {
		t.Errorf("allocated %v times per event, want 0", allocs)
	}
}
