package events

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// UnknownPolicy selects the treatment of events whose type is not in the catalog.
type UnknownPolicy uint8

const (
	// DropUnknown refuses, counts and quarantines them.
	DropUnknown UnknownPolicy = iota
	// PassUnknown counts them and returns them with the zero Type. They have no topic that a client can subscribe to, so
	// they reach no client. It keeps the quarantine free of events of publishers that are newer than the catalog.
	PassUnknown
)

// ParseUnknownPolicy reads the setting events.unknown: drop or pass.
func ParseUnknownPolicy(s string) (UnknownPolicy, error) {
	switch s {
	case "drop":
		return DropUnknown, nil
	case "pass":
		return PassUnknown, nil
	default:
		return 0, fmt.Errorf("%.40q: must be drop or pass", s)
	}
}

// Validation selects the events that are compared with the definition of their type.
type Validation uint8

const (
	// ValidateSample compares the first event of each type, and one event in IngressOptions.SampleEvery.
	ValidateSample Validation = iota
	// ValidateAll compares every event.
	ValidateAll
	// ValidateOff compares no event.
	ValidateOff
)

// ParseValidation reads the setting events.validation: off, sample or all.
func ParseValidation(s string) (Validation, error) {
	switch s {
	case "off":
		return ValidateOff, nil
	case "sample":
		return ValidateSample, nil
	case "all":
		return ValidateAll, nil
	default:
		return 0, fmt.Errorf("%.40q: must be off, sample or all", s)
	}
}

// IngressOptions are the options of an Ingress.
type IngressOptions struct {
	// Catalog decodes the messages, and bounds them (Catalog.Limit). Required.
	Catalog *Catalog
	// Unknown selects the treatment of events that are not in the catalog. Zero: they are dropped.
	Unknown UnknownPolicy
	// Validation selects the events that are compared with the catalog. Zero: a sample.
	Validation Validation
	// SampleEvery makes ValidateSample compare one event in so many. Zero: 128.
	SampleEvery uint64
	// Quarantine is the number of messages that are kept for the operator. Zero: 64; negative: none.
	Quarantine int
	// Registerer receives the metrics. nil: the metrics are not registered.
	Registerer prometheus.Registerer
}

// Ingress decodes published messages. It counts the messages that are wrong and keeps the newest of them as examples. A
// node decodes each message once, for all of its subscribers. The methods may be called from any goroutine.
type Ingress struct {
	options    IngressOptions
	metrics    *metrics
	quarantine *quarantine
	turn       atomic.Uint64
	seen       []atomic.Bool // by Type: an event of the type was compared
	scratch    sync.Pool     // of *[]byte
}

// NewIngress returns an Ingress. It starts nothing.
func NewIngress(o IngressOptions) *Ingress {
	if o.SampleEvery == 0 {
		o.SampleEvery = 128
	}
	if o.Quarantine == 0 {
		o.Quarantine = 64
	}
	in := &Ingress{
		options: o, quarantine: newQuarantine(max(o.Quarantine, 0)),
		seen: make([]atomic.Bool, len(o.Catalog.definitions)+1),
	}
	in.metrics = newMetrics(o.Registerer, in.quarantine)
	return in
}

// Decode calls Catalog.Decode, and counts and quarantines the messages that it refuses. It also compares events with
// the catalog, as IngressOptions.Validation selects. Of these it refuses events that are not JSON. It counts and
// quarantines events that differ from the catalog, but returns them: a client may understand more than the catalog.
func (in *Ingress) Decode(data []byte) (Event, error) {
	ev, _, err := in.DecodeIf(data, always)
	return ev, err
}

func always(Topic) bool { return true }

// DecodeIf is Decode for callers that want few of the events. It stops reading when it knows the topic and wanted
// returns false for it; ok is then false. Errors behind the topic of such events are found in the sample only. With
// ValidateAll it reads every event to its end.
func (in *Ingress) DecodeIf(data []byte, wanted func(Topic) bool) (ev Event, ok bool, err error) {
	return in.decodeIf(data, wanted, topicFields)
}

// Skim is DecodeIf for callers that remember all events. Where ok is false, the returned event has its topic, its Id
// and its Data; Skim reads the message up to the Id for this.
func (in *Ingress) Skim(data []byte, wanted func(Topic) bool) (ev Event, ok bool, err error) {
	return in.decodeIf(data, wanted, topicFields|1<<fieldID)
}

// decodeIf reads an event that is not wanted up to the last field of least.
func (in *Ingress) decodeIf(data []byte, wanted func(Topic) bool, least fields) (ev Event, ok bool, err error) {
	c := in.options.Catalog
	var r routing
	topic, why := c.readTopic(data, &r)
	isTurn := false
	switch {
	case why != reasonNone:
		ev, why = c.decode(data) // from the beginning: the rest may have a reason that takes precedence
	default:
		isTurn = in.isTurn(topic.Type)
		if ok = wanted(topic); ok || isTurn {
			ev, why = c.decodeOn(data, &r, topic)
		} else if why = r.upTo(data, least); why == reasonNone {
			ev = Event{Topic: topic, Data: data}
			ev.ID, _ = guid(r.values[fieldID])
			return ev, false, nil
		}
	}
	if why == ReasonUnknownEvent && in.options.Unknown == PassUnknown {
		in.metrics.unknown.Inc()
		return ev, true, nil // with the zero Type
	}
	if why != reasonNone {
		in.Refused(data, why)
		return Event{}, false, why
	}
	if isTurn {
		if err := in.check(&ev); err != nil {
			return Event{}, false, err
		}
	}
	return ev, ok, nil
}

// Refused counts and quarantines a message that another function refused, for instance an encoder. It ignores errors
// without a Reason.
func (in *Ingress) Refused(data []byte, err error) {
	why, ok := ReasonOf(err)
	if !ok {
		return
	}
	in.metrics.refused[why].Inc()
	in.quarantine.add(data, why.String(), "")
}

// Quarantined returns the messages that were refused or differed from the catalog, the newest first.
func (in *Ingress) Quarantined() []Quarantined { return in.quarantine.entries() }

// isTurn reports whether to compare the next event of a type with the catalog.
func (in *Ingress) isTurn(t Type) bool {
	switch in.options.Validation {
	case ValidateOff:
		return false
	case ValidateAll:
		return true
	default:
		first := !in.seen[t].Load() && in.seen[t].CompareAndSwap(false, true)
		return in.turn.Add(1)%in.options.SampleEvery == 0 || first
	}
}

// check compares an event with the catalog. It returns an error if an encoder would refuse the event.
func (in *Ingress) check(ev *Event) error {
	in.metrics.checked.Inc()
	c := in.options.Catalog
	scratch, _ := in.scratch.Get().(*[]byte)
	if scratch == nil {
		scratch = new([]byte)
	}
	text, err := c.AppendJSON((*scratch)[:0], ev)
	if err != nil {
		in.Refused(ev.Data, err)
		return err
	}
	*scratch = text
	in.scratch.Put(scratch)
	deviations := c.Check(ev)
	for _, d := range deviations {
		in.metrics.deviations[d.Problem].Inc()
	}
	if len(deviations) > 0 { // the operator needs one of them to begin with
		in.quarantine.add(ev.Data, deviations[0].Problem.String(), deviations[0].Property)
	}
	return nil
}
