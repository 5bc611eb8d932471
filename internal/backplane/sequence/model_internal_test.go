package sequence

import (
	"encoding/binary"
	"hash/maphash"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// modelStep is something that may happen next.
type modelStep struct {
	name    string
	enabled func(w *modelWorld) bool
	do      func(w *modelWorld)
}

// modelSteps returns all steps of a world.
func modelSteps(rules *modelRules) []modelStep {
	steps := []modelStep{
		{"repeat", func(w *modelWorld) bool { return w.Left.Repeats > 0 && len(w.Events) > 0 }, func(w *modelWorld) {
			w.Left.Repeats--
			w.send(len(w.Events)-1, w.Events[len(w.Events)-1].Tier)
		}},
		{"canary", func(w *modelWorld) bool { return w.Connected && w.Left.Canaries > 0 }, (*modelWorld).canary},
		{"deliver", func(w *modelWorld) bool { return len(w.Wire) > 0 }, (*modelWorld).deliver},
		{"request", func(w *modelWorld) bool {
			return w.Connected && w.Lane.repair != nil && !w.Lane.repair.reading
		}, (*modelWorld).request},
		{"execute", func(w *modelWorld) bool { return w.Requested != nil }, (*modelWorld).execute},
		{"arrive", func(w *modelWorld) bool { return w.Page != nil }, (*modelWorld).arrive},
		{"cut", func(w *modelWorld) bool { return w.Connected && w.Left.Cuts > 0 }, (*modelWorld).cut},
		{"connect", func(w *modelWorld) bool { return !w.Connected }, (*modelWorld).connect},
		{"overflow", func(w *modelWorld) bool { return w.Left.Overflows > 0 && len(w.Wire) > 0 }, (*modelWorld).overflow},
		{"trim", func(w *modelWorld) bool { return w.Left.Trims > 0 && len(w.Journal) > 0 }, (*modelWorld).trim},
	}
	for _, tier := range rules.tiers {
		name := "publish " + [...]string{"counted", "journaled", "plain"}[tier]
		steps = append(steps, modelStep{
			name, func(w *modelWorld) bool { return w.Left.Publishes > 0 }, func(w *modelWorld) { w.publish(tier) },
		})
	}
	for lost, what := range []string{"nothing", "the last entry", "two entries"} {
		for clock, behind := range map[string]time.Duration{"the same": 0, "an earlier": 4 * time.Second} {
			steps = append(steps, modelStep{
				"failover that loses " + what + ", to " + clock + " clock",
				func(w *modelWorld) bool { return !w.Connected && w.Left.Failovers > 0 && len(w.Journal) >= lost },
				func(w *modelWorld) { w.fail(lost, behind) },
			})
		}
	}
	return steps
}

// modelNode is a state that was reached, and how.
type modelNode struct {
	world  *modelWorld // nil once its steps were taken
	before int32       // the node from which the step led here
	step   uint8
}

// explore visits every state that a world can reach, each once, the nearest first. It returns the number of states. In
// each of them everything must end well if nothing else happens. wrong is the shortest way to a state in which an
// invariant does not hold, and the invariant; empty: there is none.
func explore(first *modelWorld) (states int, wrong string) {
	steps := modelSteps(first.Rules)
	print := newModelPrint()
	seen := map[uint64]struct{}{}
	nodes := []modelNode{{world: first, before: -1}}
	for i := 0; i < len(nodes); i++ {
		w := nodes[i].world
		nodes[i].world = nil
		for k := range steps {
			if !steps[k].enabled(w) {
				continue
			}
			next := w.clone()
			steps[k].do(next)
			node := modelNode{world: next, before: int32(i), step: uint8(k)}
			if next.Wrong == "" {
				state := print.of(next)
				if _, known := seen[state]; known {
					continue
				}
				seen[state] = struct{}{}
				end := next.clone()
				end.quiet()
				next.Wrong = end.Wrong
			}
			nodes = append(nodes, node)
			if next.Wrong != "" {
				return len(nodes), way(nodes, steps) + next.Wrong
			}
		}
	}
	return len(nodes), ""
}

// way names the steps to the last node.
func way(nodes []modelNode, steps []modelStep) (text string) {
	for i := len(nodes) - 1; nodes[i].before >= 0; i = int(nodes[i].before) {
		text = steps[nodes[i].step].name + ", " + text
	}
	return text
}

// modelPrint computes fingerprints of states. Two different states have the same one with a probability of one in
// millions.
type modelPrint struct{ hash maphash.Hash }

func newModelPrint() *modelPrint { return &modelPrint{} }

func (p *modelPrint) of(w *modelWorld) uint64 {
	p.hash.Reset()
	p.add(reflect.ValueOf(w).Elem())
	return p.hash.Sum64()
}

func (p *modelPrint) number(n uint64) {
	var text [8]byte
	binary.LittleEndian.PutUint64(text[:], n)
	_, _ = p.hash.Write(text[:])
}

// add adds a value with everything that it refers to.
func (p *modelPrint) add(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.Type() == reflect.TypeFor[*modelRules]() || v.Type() == reflect.TypeFor[*time.Location]() {
			return
		}
		if v.IsNil() {
			p.number(0)
			return
		}
		p.number(1)
		p.add(v.Elem())
	case reflect.Struct:
		switch v.Type() {
		case reflect.TypeFor[maphash.Seed]():
			return
		case reflect.TypeFor[events.Event](): // its Id distinguishes it
			v = v.FieldByName("ID")
			_, _ = p.hash.Write(v.Slice(0, v.Len()).Bytes())
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).Name != "set" { // of ids: it has what the ring has
				p.add(v.Field(i))
			}
		}
	case reflect.Slice:
		p.number(uint64(v.Len()))
		for i := range v.Len() {
			p.add(v.Index(i))
		}
	case reflect.Array:
		for i := range v.Len() {
			p.add(v.Index(i))
		}
	case reflect.Map: // few entries, in any order
		sum := uint64(v.Len())
		for all := v.MapRange(); all.Next(); {
			one := modelPrint{}
			one.hash.SetSeed(p.hash.Seed())
			one.add(all.Key())
			one.add(all.Value())
			sum += one.hash.Sum64()
		}
		p.number(sum)
	case reflect.String:
		_, _ = p.hash.WriteString(v.String())
	case reflect.Bool:
		if v.Bool() {
			p.number(1)
		} else {
			p.number(0)
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		p.number(uint64(v.Int()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		p.number(v.Uint())
	default:
		panic("model: a field of type " + v.Type().String())
	}
}

// modelCase is an exploration.
type modelCase struct {
	name   string
	rules  modelRules
	bounds modelBounds
	warm   bool
}

var (
	onlyCounted   = []modelTier{modelCounted}
	withJournaled = []modelTier{modelCounted, modelJournaled}
	withPlain     = []modelTier{modelCounted, modelPlain}
	onlyPlain     = []modelTier{modelPlain}
)

// TestModel_everyStateKeepsTheGuarantees visits every state of small worlds.
func TestModel_everyStateKeepsTheGuarantees(t *testing.T) {
	t.Parallel()
	for _, c := range []modelCase{
		{
			"interruptions, counted",
			modelRules{tiers: onlyCounted, pause: 3 * time.Second},
			modelBounds{Publishes: 3, Repeats: 1, Cuts: 1},
			true,
		},
		{
			"failover, counted",
			modelRules{tiers: onlyCounted, pause: 3 * time.Second},
			modelBounds{Publishes: 3, Cuts: 1, Failovers: 1},
			true,
		},
		{
			"trim, counted",
			modelRules{tiers: onlyCounted, pause: 3 * time.Second},
			modelBounds{Publishes: 3, Cuts: 1, Trims: 2},
			true,
		},
		{
			"interruptions, both journals",
			modelRules{tiers: withJournaled, pause: 3 * time.Second},
			modelBounds{Publishes: 2, Canaries: 1, Cuts: 1},
			false,
		},
		{
			"overflow, plain",
			modelRules{tiers: withPlain, pause: 3 * time.Second},
			modelBounds{Publishes: 2, Canaries: 1, Overflows: 1},
			false,
		},
		{
			"interruptions, plain, from another node",
			modelRules{tiers: onlyPlain, pause: 3 * time.Second, peers: true},
			modelBounds{Publishes: 3, Canaries: 1, Cuts: 1},
			false,
		},
	} {
		t.Run(c.name, func(t *testing.T) { c.check(t) })
	}
}

func (c *modelCase) check(t *testing.T) {
	t.Parallel()
	began := time.Now()
	states, wrong := explore(newModelWorld(c.bounds, &c.rules, c.warm))
	if wrong != "" {
		t.Errorf("%s", wrong)
	}
	t.Logf("%d states in %s", states, time.Since(began).Round(time.Millisecond))
}

// An exploration that finds nothing could be one that looks at nothing.
func TestModel_findsAMistake(t *testing.T) {
	t.Parallel()
	bounds := modelBounds{Publishes: 2, Cuts: 1}
	for fault, want := range map[modelFault]string{
		modelNoReport:   "no report covers its time",
		modelSilentLoss: "no report covers its time",
		modelTwice:      "was delivered twice",
	} {
		rules := &modelRules{tiers: onlyPlain, pause: time.Second, fault: fault}
		_, wrong := explore(newModelWorld(bounds, rules, false))
		if !strings.Contains(wrong, want) {
			t.Errorf("fault %d: found %q, want %q", fault, wrong, want)
		}
	}
}
