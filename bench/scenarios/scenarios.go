// Package scenarios has the scenarios of the bench as data: the JSON files in this folder.
//
// A scenario is a list of steps that are played against a new server. The same file gives the same connections,
// topics, subscriptions and order of events in every run. Pauses between events of pace "poisson" come from a
// generator with a fixed seed.
package scenarios

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

//go:embed *.json
var files embed.FS

// ErrInvalid is wrapped by every error about the content of a scenario.
var ErrInvalid = errors.New("invalid scenario")

// Scenario is one file.
type Scenario struct {
	Name  string `json:"name"`
	About string `json:"about"`
	// Peers are the kinds of peers that can play it: limit, signalr, aspnet, centrifugo, nats, bun, untraced, rte.
	Peers        []string `json:"peers"`
	Event        string   `json:"event"`         // event type of all topics
	MessageBytes int      `json:"message_bytes"` // of the argument of MessageReceived
	// Auth makes clients send a signed token where the peer does not require one; rte always does.
	Auth bool `json:"auth"`
	// Together lets server, publisher and clients share all cores.
	Together      bool           `json:"together"`
	Organizations []Organization `json:"organizations"`
	Groups        []Group        `json:"groups"`
	Steps         []Step         `json:"steps"`
	// Runs is the least number of runs: a ratio of similar figures needs the median of several.
	Runs int `json:"runs"`
	// TimeoutSeconds bounds the scenario with one peer.
	TimeoutSeconds int `json:"timeout_seconds"`
}

// Organization has its own topics. Topics are numbered through all organizations from 0.
type Organization struct {
	Name   string `json:"name"`
	Topics int    `json:"topics"`
}

// Group is a set of connections that subscribe alike: connection i to topics (i*Stride + 0..PerConnection-1) mod Span
// of the organization, after the first First ones.
type Group struct {
	Name          string `json:"name"`
	Organization  string `json:"organization"`
	Connections   int    `json:"connections"`
	First         int    `json:"first"`
	Span          int    `json:"span"`
	PerConnection int    `json:"per_connection"`
	Stride        int    `json:"stride"`
	SmallBuffers  bool   `json:"small_buffers"`
}

// Step is one action: exactly one field is set.
type Step struct {
	Connect   *Connect   `json:"connect,omitempty"`
	Subscribe *Subscribe `json:"subscribe,omitempty"`
	Freeze    *Freeze    `json:"freeze,omitempty"`
	Rest      *Rest      `json:"rest,omitempty"`
	Publish   *Publish   `json:"publish,omitempty"`
}

// Connect opens a group, at most InFlight connections at a time, and subscribes each to its first Topics topics.
type Connect struct {
	Group    string `json:"group"`
	Topics   int    `json:"topics"`
	InFlight int    `json:"in_flight"`
	Record   string `json:"record"`
}

// Subscribe adds topics to the connections of a group, until each has Topics.
type Subscribe Connect

// Freeze makes a group stop reading, or with BytesPerSecond read only so much for each connection.
type Freeze struct {
	Group          string `json:"group"`
	BytesPerSecond int    `json:"bytes_per_second"`
}

// Rest waits, then records the memory of the server.
type Rest struct {
	Seconds float64 `json:"seconds"`
	Record  string  `json:"record"`
}

// Publish publishes for WarmUp seconds, then for Seconds, during which it measures.
type Publish struct {
	Record  string   `json:"record"` // empty: nothing is recorded
	WarmUp  float64  `json:"warm_up"`
	Seconds float64  `json:"seconds"`
	Streams []Stream `json:"streams"`
}

// The paces of a stream.
const (
	Even    = "even"    // Rate events per second, equally spaced
	Poisson = "poisson" // Rate events per second at random
	Window  = "window"  // as fast as deliveries arrive, Window events ahead: finds the saturation
)

// Stream publishes to the topics of an organization one after the other.
type Stream struct {
	Organization string  `json:"organization"`
	First        int     `json:"first"`  // topics of the organization to leave out
	Topics       int     `json:"topics"` // after them; 0: all that are left
	Pace         string  `json:"pace"`
	Rate         float64 `json:"rate"`
	Window       int     `json:"window"`
	// Times and Of set Rate to Times the rate that a Window stream reached in the earlier record Of.
	Times float64 `json:"times"`
	Of    string  `json:"of"`
	Batch int     `json:"batch"` // bound of the events per request; 0: 1
}

// Load reads the named scenarios, or all if there are no names.
func Load(names ...string) ([]Scenario, error) {
	if len(names) == 0 {
		names = order
	}
	loaded := make([]Scenario, 0, len(names))
	for _, name := range names {
		data, err := files.ReadFile(path.Clean(name) + ".json")
		if err != nil {
			return nil, fmt.Errorf("%w: %q is none of %s", ErrInvalid, name, strings.Join(order, ", "))
		}
		s, err := decode(data)
		if err != nil {
			return nil, fmt.Errorf("scenario %s: %w", name, err)
		}
		loaded = append(loaded, s)
	}
	return loaded, nil
}

// order is the order of playing and reporting.
var order = []string{
	"trickle", "flood", "presence", "queues", "presence-load", "queues-load", "idle", "storm", "miss", "slow", "stale",
	"fairness", "stored", "shared",
}

func decode(data []byte) (Scenario, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	var s Scenario
	if err := decoder.Decode(&s); err != nil {
		return Scenario{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return s, s.validate()
}

// OrganizationIndex returns the number of an organization, and a negative number for an unknown name.
func (s *Scenario) OrganizationIndex(name string) int {
	return slices.IndexFunc(s.Organizations, func(o Organization) bool { return o.Name == name })
}

// FirstTopic returns the number of the first topic of an organization.
func (s *Scenario) FirstTopic(organization int) int {
	first := 0
	for _, o := range s.Organizations[:organization] {
		first += o.Topics
	}
	return first
}

// Connections returns the number of connections of all groups.
func (s *Scenario) Connections() int {
	n := 0
	for _, g := range s.Groups {
		n += g.Connections
	}
	return n
}

// Plays reports whether a kind of peer can play the scenario.
func (s *Scenario) Plays(kind string) bool { return slices.Contains(s.Peers, kind) }
