package events

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// UnknownPolicy says what becomes of events whose type is not in the catalog.
type UnknownPolicy uint8

const (
	// DropUnknown refuses them: they are counted and quarantined.
	DropUnknown UnknownPolicy = iota
	// PassUnknown counts them and lets them pass with the zero Type. Nobody can subscribe to them, so they reach
	// no client; it keeps them out of the quarantine where publishers are ahead of the catalog.
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
		return 0, fmt.Errorf("%.40q: drop or pass are expected", s)
	}
}

// Validation says how many events are compared with what the catalog has for their type.
type Validation uint8

const (
	// ValidateSample compares the first event of each type and then one in Options.SampleEvery.
	ValidateSample Validation = iota
	// ValidateAll compares every event.
	ValidateAll
	// ValidateOff compares none.
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
		return 0, fmt.Errorf("%.40q: off, sample or all are expected", s)
	}
}

// IngressOptions are what an Ingress needs.
type IngressOptions struct {
	// Catalog decodes the messages, and bounds them (Catalog.Limit). Required.
	Catalog *Catalog
	// Unknown is about events that the catalog does not have. Zero: they are dropped.
	Unknown UnknownPolicy
	// Validation is about events that differ from what the catalog has. Zero: a sample is compared.
	Validation Validation
	// SampleEvery is how many events come to one that is compared. Zero: 128.
	SampleEvery uint64
	// Quarantine is how many messages are kept for the operator to read. Zero: 64; negative: none.
	Quarantine int
	// Registerer receives the metrics. nil: none are kept.
	Registerer prometheus.Registerer
}

// Ingress is where published messages come in: it decodes them and keeps what is wrong with them, by number and by
// example. A message is looked at once, however many subscribers it has. Its methods may be called from any
// goroutine.
type Ingress struct {
	options    IngressOptions
	metrics    *metrics
	quarantine *quarantine
	turn       atomic.Uint64
	seen       []atomic.Bool // by Type: one of it was compared
	scratch    sync.Pool     // of *[]byte
}

// NewIngress makes an Ingress. It starts nothing.
func NewIngress(o IngressOptions) *Ingress {
	if o.SampleEvery == 0 {
		o.SampleEvery = 128
	}
	if o.Quarantine == 0 {
		o.Quarantine = 64
	}
	in := &Ingress{options: o, quarantine: newQuarantine(max(o.Quarantine, 0)), seen: make([]atomic.Bool, len(o.Catalog.definitions)+1)}
	in.metrics = newMetrics(o.Registerer, in.quarantine)
	return in
}

// Decode is Catalog.Decode, with a count and an example of what it refuses. In addition, events are compared
// with the catalog as Options.Validation says: those that are no JSON are refused; those that differ are counted,
// quarantined and pass, for a client may well understand what the catalog does not.
func (in *Ingress) Decode(data []byte) (Event, error) {
	ev, _, err := in.DecodeIf(data, always)
	return ev, err
}

func always(Topic) bool { return true }

// DecodeIf is Decode for those who mostly have no use for an event. An event of a topic that wanted says no to is not
// read any further, and ok is false, unless it is one to compare: what is wrong with it behind its topic is then found
// in the sample only, and with ValidateAll every event is read to its end.
func (in *Ingress) DecodeIf(data []byte, wanted func(Topic) bool) (ev Event, ok bool, err error) {
	return in.decodeIf(data, wanted, topicFields)
}

// Skim is DecodeIf for those who remember all events, also those that nobody wants: where ok is false, the event has
// its topic, its Id and its Data, and for that it is read up to the Id as well.
func (in *Ingress) Skim(data []byte, wanted func(Topic) bool) (ev Event, ok bool, err error) {
	return in.decodeIf(data, wanted, topicFields|1<<fieldID)
}

// decodeIf reads an event that nobody wants no further than to the topic and to all fields of least.
func (in *Ingress) decodeIf(data []byte, wanted func(Topic) bool, least fields) (ev Event, ok bool, err error) {
	c := in.options.Catalog
	var r routing
	topic, why := c.readTopic(data, &r)
	isTurn := false
	switch {
	case why != reasonNone:
		ev, why = c.decode(data) // from the beginning: behind its topic there may be something worse
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
		return ev, true, nil // of the zero Type
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

// Refused counts and quarantines a message that was found malformed elsewhere, for instance by an encoder. Errors
// that have no Reason are left alone.
func (in *Ingress) Refused(data []byte, err error) {
	why, ok := ReasonOf(err)
	if !ok {
		return
	}
	in.metrics.refused[why].Inc()
	in.quarantine.add(data, why.String(), "")
}

// Quarantined are the newest messages that were refused or differed from the catalog, the newest first.
func (in *Ingress) Quarantined() []Quarantined { return in.quarantine.entries() }

// isTurn says whether an event of a type is one to compare.
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

// check compares an event with the catalog. The error is that of an event which no encoder would accept.
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
	if len(deviations) > 0 { // the first one says enough to begin with
		in.quarantine.add(ev.Data, deviations[0].Problem.String(), deviations[0].Property)
	}
	return nil
}
