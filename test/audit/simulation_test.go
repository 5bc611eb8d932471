package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/demo"
	"github.com/rte-server/rte-server/internal/simulator"
	"github.com/rte-server/rte-server/test/audit/history"
)

// simulation is the call centre that "rte-server simulate" plays, as a further organization. Its events go the way of
// T2, and each gets a number of its topic, as those of streams have.
type simulation struct {
	organization *simulator.Organization
	day          *simulator.Scenario
	seed         uint64
	topics       []history.Topic // of clients
	deployment   *deployment
	turn         chan struct{} // holds a value while events may be published
}

var _ demo.Publisher = (*simulation)(nil)

// newSimulation prepares a call centre.
func newSimulation(t *testing.T, d *deployment, seed uint64) *simulation {
	t.Helper()
	s := &simulation{
		organization: simulator.NewOrganization(), seed: seed, deployment: d, turn: make(chan struct{}, 1),
	}
	day, err := simulator.LoadScenario(simulator.DefaultScenario, s.organization)
	if err != nil {
		t.Fatal(err)
	}
	s.day = day
	s.findTopics(t)
	return s
}

// findTopics plays the first hour without publishing it. Clients subscribe to all topics that have an event in it,
// except those that the policy forbids.
func (s *simulation) findTopics(t *testing.T) {
	t.Helper()
	player, err := simulator.New(simulator.Options{Organization: s.organization, Scenario: s.day, Seed: s.seed})
	if err != nil {
		t.Fatal(err)
	}
	for player.Elapsed() < time.Hour {
		player.Advance(func(data []byte) {
			e, err := read(data)
			if err != nil {
				t.Fatal(err)
			}
			topic := e.topic()
			if topic.Type != "UserAlert" && topic.Type != "UserSetting" && !slices.Contains(s.topics, topic) {
				s.topics = append(s.topics, topic)
			}
		})
	}
}

// simulated is what the test reads of an event.
type simulated struct {
	described
	ID         string
	CallBackID string
}

func read(data []byte) (e simulated, err error) {
	if err := json.Unmarshal(data, &e); err != nil {
		return e, fmt.Errorf("an event of the simulator: %w", err)
	}
	return e, nil
}

// state returns the name of the state that an event describes, empty if it is a step.
func (e *simulated) state() string {
	switch e.EventType {
	case "UserStatus", "QueueStatus":
		return e.EventType
	case "CallbackChanged":
		return e.CallBackID
	default:
		return ""
	}
}

// entities returns those of the directory.
func (s *simulation) entities() (list []entity) {
	organization := s.organization.ID.String()
	for _, u := range s.organization.Users {
		list = append(list, entity{u.ID.String(), "User", organization})
	}
	for _, q := range s.organization.Queues {
		list = append(list, entity{q.ID.String(), "Queue", organization})
	}
	for _, l := range s.organization.CallLists {
		list = append(list, entity{l.ID.String(), "CallList", organization})
	}
	return list
}

// start plays the day until the end of the test. No event is published before resume.
func (s *simulation) start(t *testing.T) {
	t.Helper()
	player, err := demo.NewPlayer(demo.PlayerOptions{
		Organization: s.organization, Scenario: s.day, Publisher: s, Seed: s.seed,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var playing sync.WaitGroup
	playing.Go(func() { _ = player.Run(ctx) }) // it returns no error
	t.Cleanup(func() {
		stop()
		playing.Wait()
	})
}

// resume lets events be published. pause drops those that come from now on, and returns when none is under way.
func (s *simulation) resume() { s.turn <- struct{}{} }
func (s *simulation) pause()  { <-s.turn }

// errPaused reports that the auditor decides about what was published before.
var errPaused = errors.New("publishing is paused")

// Publish publishes an event of the day once, and records it.
func (s *simulation) Publish(_ context.Context, data []byte) error {
	e, err := read(data)
	if err != nil {
		return err
	}
	select {
	case <-s.turn:
	default:
		return errPaused // later its time would be over: a state lasts for a minute
	}
	defer s.resume()
	rest, isObject := bytes.CutPrefix(data, []byte("{"))
	if !isObject {
		return errors.New("an event of the simulator is no object")
	}
	p := s.deployment.publish
	index, number := p.rec.publishing(e.topic(), "T2", e.ID, e.state())
	err = p.send(tier2, &stream{topic: e.topic()}, append(fmt.Appendf(nil, `{"Number":%d,`, number), rest...))
	p.rec.published(index, err == nil)
	return err
}

// startWatching starts a client with notices and one without, and returns two of Microsoft's to start.
func (d *deployment) startWatching() (library []*member) {
	d.t.Helper()
	watching := func(name string, notices bool) *member {
		c := history.Client{Name: name + " of the simulation", Notices: notices}
		return d.memberFor(d.simulation.topics, d.topics(0)[0], c, 0)
	}
	d.begin(watching("raw client with notices", true), "notices")
	d.begin(watching("raw client", false), "")
	return []*member{watching("Microsoft's, JSON,", false), watching("Microsoft's, MessagePack,", false)}
}
