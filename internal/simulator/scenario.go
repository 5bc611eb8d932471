package simulator

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// files has the scenarios of the program.
//
//go:embed scenarios
var files embed.FS

// DefaultScenario is the name of the scenario of a development server.
const DefaultScenario = "calm-day"

// Scenario describes a day. A file contains only the differences from defaultScenario.
type Scenario struct {
	// Name is the name of the file without its extension.
	Name        string `yaml:"-"`
	Description string `yaml:"description"`
	// Clock is the time of day at the start.
	Clock TimeOfDay `yaml:"clock"`
	// Calls is the number of calls to queues for each agent and hour. Between two points it follows a straight line.
	Calls []CurvePoint `yaml:"calls"`
	// Direct, Outgoing and Requests are the calls to agents' own numbers, the calls that agents make, and the requests for
	// callbacks without a call, for each agent and hour.
	Direct   float64 `yaml:"direct"`
	Outgoing float64 `yaml:"outgoing"`
	Requests float64 `yaml:"requests"`
	// Patience is the time that callers wait.
	Patience Spread `yaml:"patience"`
	// Answer is the time in which agents answer. A call leaves an agent after Ringing.
	Answer  Range         `yaml:"answer"`
	Ringing time.Duration `yaml:"ringing"`
	// Declined and Unanswered are fractions of the calls that ring.
	Declined   float64 `yaml:"declined"`
	Unanswered float64 `yaml:"unanswered"`
	Talk       Spread  `yaml:"talk"`
	// WrapUp is the maximum time after a call.
	WrapUp time.Duration `yaml:"wrapUp"`
	// Hold, Park, Blind and Attended are fractions of the connected calls. Cancelled is the fraction of transfers after
	// consultation that fail.
	Hold      float64 `yaml:"hold"`
	Park      float64 `yaml:"park"`
	Blind     float64 `yaml:"blindTransfer"`
	Attended  float64 `yaml:"attendedTransfer"`
	Cancelled float64 `yaml:"cancelledTransfer"`
	// Breaks, FetchModes and Settings are rates per agent and hour. Supervisions is the rate of monitored calls per
	// supervisor and hour.
	Breaks       float64 `yaml:"breaks"`
	FetchModes   float64 `yaml:"fetchModes"`
	Settings     float64 `yaml:"settings"`
	Supervisions float64 `yaml:"supervisions"`
	// MaxWait is the time after which a call overflows, QueueSize the number of waiting calls of a full queue.
	MaxWait   time.Duration `yaml:"maxWait"`
	QueueSize int           `yaml:"queueSize"`
	// ServiceLevel is the time in which a call should be answered.
	ServiceLevel time.Duration `yaml:"serviceLevel"`
	// Refresh is the time in which every status is published again, changed or not.
	Refresh time.Duration `yaml:"refresh"`
	// Shifts are assigned to agents in turn.
	Shifts []Hours `yaml:"shifts"`
	// Hours has the opening hours of queues by their name. The name "default" is for all other queues.
	Hours     map[string][]Hours `yaml:"hours"`
	Alerts    []AlertRule        `yaml:"alerts"`
	Incidents []Incident         `yaml:"incidents"`
}

// TimeOfDay is the time since midnight.
type TimeOfDay time.Duration

// CurvePoint is a rate at a time of day.
type CurvePoint struct {
	At   TimeOfDay `yaml:"at"`
	Rate float64   `yaml:"rate"`
}

// Spread is a random duration: Least, and more with an exponential distribution of the mean Mean.
type Spread struct {
	Least time.Duration `yaml:"least"`
	Mean  time.Duration `yaml:"mean"`
}

// Range is a random duration between two durations.
type Range struct {
	Least time.Duration `yaml:"least"`
	Most  time.Duration `yaml:"most"`
}

// Hours are a part of a day. A file has them as "08:00-17:30".
type Hours struct{ From, To TimeOfDay }

// AlertRule defines an alert for all queues.
type AlertRule struct {
	Name string `yaml:"name"`
	// When is "waiting" (calls) or "longestWait" (seconds).
	When  string `yaml:"when"`
	Least int    `yaml:"least"`
}

// Incident is an event of the scenario itself.
type Incident struct {
	// At is the time since the start, For the duration.
	At  time.Duration `yaml:"at"`
	For time.Duration `yaml:"for"`
	// Kind is "surge" (Factor times as many calls), "outage" (no endpoint takes the calls of the queue) or "absence"
	// (a Fraction of the agents is not at work).
	Kind     string  `yaml:"kind"`
	Queue    string  `yaml:"queue"` // of a surge or an outage; a surge without a queue is one of all
	Factor   float64 `yaml:"factor"`
	Fraction float64 `yaml:"fraction"`
}

// The kinds of incidents and of alerts.
const (
	incidentSurge   = "surge"
	incidentOutage  = "outage"
	incidentAbsence = "absence"

	alertWaiting     = "waiting"
	alertLongestWait = "longestWait"
)

// defaultScenario has the values for keys that a file leaves out.
func defaultScenario() Scenario {
	clock := func(hours, minutes int) TimeOfDay {
		return TimeOfDay(time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute)
	}
	return Scenario{
		Clock: clock(10, 0),
		Calls: []CurvePoint{
			{clock(0, 0), 0.2},
			{clock(6, 30), 0.2},
			{clock(8, 30), 40},
			{clock(10, 0), 44},
			{clock(12, 0), 34},
			{clock(14, 0), 44},
			{clock(16, 30), 28},
			{clock(18, 0), 6},
			{clock(20, 0), 0.2},
		},
		Direct: 9, Outgoing: 4, Requests: 8,
		Patience: Spread{8 * time.Second, 60 * time.Second},
		Answer:   Range{time.Second, 6 * time.Second}, Ringing: 12 * time.Second,
		Declined: 0.03, Unanswered: 0.04,
		Talk: Spread{5 * time.Second, 30 * time.Second}, WrapUp: 10 * time.Second,
		Hold: 0.2, Park: 0.06, Blind: 0.05, Attended: 0.07, Cancelled: 0.4,
		Breaks: 6, FetchModes: 2, Settings: 6, Supervisions: 60,
		MaxWait: 25 * time.Second, QueueSize: 30, ServiceLevel: 20 * time.Second, Refresh: 20 * time.Second,
		Shifts: []Hours{
			{clock(7, 45), clock(16, 0)}, {clock(8, 0), clock(16, 30)}, {clock(9, 45), clock(18, 15)},
		},
		Hours: map[string][]Hours{"default": {{clock(8, 0), clock(18, 0)}}},
		Alerts: []AlertRule{
			{"long queue", alertWaiting, 4}, {"long wait", alertLongestWait, 30},
		},
	}
}

// Scenarios returns the names of the scenarios of the program.
func Scenarios() []string {
	entries, err := fs.ReadDir(files, "scenarios")
	if err != nil {
		panic(err) // the folder is embedded
	}
	names := make([]string, 0, len(entries))
	for _, entry := range entries {
		names = append(names, strings.TrimSuffix(entry.Name(), ".yaml"))
	}
	return names
}

// LoadScenario returns the scenario with a name, or the scenario in a file. The name of a file has a dot or a slash. It
// may name queues of the organization.
func LoadScenario(name string, o *Organization) (*Scenario, error) {
	if !strings.ContainsAny(name, "./") {
		text, err := files.ReadFile("scenarios/" + name + ".yaml")
		if err != nil {
			return nil, fmt.Errorf(
				"scenario %q: unknown; there are %s, and files whose name has a dot or a slash", name,
				strings.Join(Scenarios(), ", "),
			)
		}
		return ParseScenario(name, text, o)
	}
	file, err := os.Open(name) //nolint:gosec // the caller of the program names it
	if err != nil {
		return nil, fmt.Errorf("scenario: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxScenarioBytes+1))
	if err != nil {
		return nil, fmt.Errorf("scenario: %w", err)
	}
	return ParseScenario(name, text, o)
}

// maxScenarioBytes bounds the file of a scenario.
const maxScenarioBytes = 64 << 10

// ParseScenario reads the text of a scenario. The error names the mistake and its place.
func ParseScenario(name string, text []byte, o *Organization) (*Scenario, error) {
	if len(text) > maxScenarioBytes {
		return nil, fmt.Errorf("scenario %s: more than %d bytes", name, maxScenarioBytes)
	}
	scenario := defaultScenario()
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&scenario); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("scenario %s: %w", name, err)
	}
	if err := decoder.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("scenario %s: more than one document", name)
	}
	if err := scenario.check(o); err != nil {
		return nil, fmt.Errorf("scenario %s: %w", name, err)
	}
	scenario.Name = name
	return &scenario, nil
}

// UnmarshalYAML reads "15:04".
func (t *TimeOfDay) UnmarshalYAML(node *yaml.Node) error {
	at, err := parseTimeOfDay(node.Value)
	if err != nil {
		return fmt.Errorf("line %d: %w", node.Line, err)
	}
	*t = at
	return nil
}

func parseTimeOfDay(text string) (TimeOfDay, error) {
	if text == "24:00" {
		return TimeOfDay(24 * time.Hour), nil
	}
	at, err := time.Parse("15:04", text)
	if err != nil {
		return 0, fmt.Errorf(`%q is no time of day such as "08:30"`, text)
	}
	return TimeOfDay(time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute), nil
}

// String returns the form "15:04".
func (t TimeOfDay) String() string {
	minutes := int(time.Duration(t) / time.Minute)
	return fmt.Sprintf("%02d:%02d", minutes/60%24, minutes%60)
}

// UnmarshalYAML reads "08:00-17:30".
func (h *Hours) UnmarshalYAML(node *yaml.Node) error {
	from, to, found := strings.Cut(node.Value, "-")
	if !found {
		return fmt.Errorf(`line %d: %q are no hours such as "08:00-17:30"`, node.Line, node.Value)
	}
	var err error
	if h.From, err = parseTimeOfDay(strings.TrimSpace(from)); err == nil {
		h.To, err = parseTimeOfDay(strings.TrimSpace(to))
	}
	if err != nil {
		return fmt.Errorf("line %d: %w", node.Line, err)
	}
	return nil
}

// contains reports whether a time of day is in one of the hours.
func contains(all []Hours, t TimeOfDay) bool {
	return slices.ContainsFunc(all, func(h Hours) bool { return h.From <= t && t < h.To })
}

// hoursOf returns the opening hours of a queue.
func (s *Scenario) hoursOf(queue string) []Hours {
	if hours, ok := s.Hours[queue]; ok {
		return hours
	}
	return s.Hours["default"]
}

// rate returns the calls for each agent and hour at a time of day. The curve goes on over midnight.
func (s *Scenario) rate(t TimeOfDay) float64 {
	points := s.Calls
	next, found := slices.BinarySearchFunc(points, t, func(p CurvePoint, t TimeOfDay) int { return int(p.At - t) })
	if found {
		return points[next].Rate
	}
	const day = TimeOfDay(24 * time.Hour)
	after, before := points[next%len(points)], points[(next+len(points)-1)%len(points)]
	span, passed := (after.At-before.At+day)%day, (t-before.At+day)%day
	if span == 0 {
		return after.Rate
	}
	return before.Rate + (after.Rate-before.Rate)*float64(passed)/float64(span)
}

// highest returns the highest rate of the curve.
func (s *Scenario) highest() float64 {
	highest := 0.0
	for _, p := range s.Calls {
		highest = max(highest, p.Rate)
	}
	return highest
}
