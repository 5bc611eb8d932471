package audit

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/rte-server/rte-server/internal/rtetest"
	"github.com/rte-server/rte-server/test/audit/history"
)

// programs is the binary that the tests start; TestMain removes it.
var programs rtetest.Programs

// entity is an entity of the directory.
type entity struct {
	ID           string `json:"id"`
	Kind         string `json:"kind"`
	Organization string `json:"organization"`
}

// deployment is three nodes behind HAProxy, their Redis, publishers and clients.
type deployment struct {
	t           *testing.T
	rec         *recorder
	nodes       []*rtetest.Server
	balancer    *rtetest.HAProxy
	directory   string // its file
	policy      string // its file
	entities    []entity
	streams     []*stream
	members     []*member
	revocable   *member // its token has its name as the id, and is revoked next
	revocations int
	spared      *rtetest.Server // nil: faults may concern all nodes
	publish     *publishers
	// simulation is a further organization, with a simulated call centre; nil: none.
	simulation *simulation
	// begin starts a client without a library.
	begin  func(m *member, features string)
	client goredis.UniversalClient // of the publishers

	redis     *rtetest.Redis     // nil: another kind of Redis
	proxy     *rtetest.Proxy     // between Redis and the last node; nil: another kind of Redis
	cable     *rtetest.Proxy     // between some clients and HAProxy
	sentinels *rtetest.Sentinels // nil: another kind of Redis
	cluster   *rtetest.Cluster   // nil: another kind of Redis
}

// limits are those of the deployments: 30 s until a client notices that its connection is dead, or 12 s until a node
// notices a gap and 4 s until it closes a connection; and the rest for a busy machine.
var limits = history.Limits{Reload: 75 * time.Second, Force: rtetest.Patience}

// nodes is the number of nodes.
const nodes = 3

// The names of clients that faults concern. The first one is the beginning of several.
const (
	behindCable = "raw with notices"
	shortLived  = "raw whose tokens expire"
)

// organizations is their number. Each has a lane of its own.
const organizations = 3

// newDeployment prepares a deployment. prepare starts Redis, and returns the settings of nodes for it.
func newDeployment(t *testing.T, prepare func(*deployment) rtetest.Settings) *deployment {
	t.Helper()
	dir := t.TempDir()
	d := &deployment{
		t: t, rec: newRecorder(limits), directory: filepath.Join(dir, "directory.json"),
		policy: filepath.Join(dir, "policy.yaml"),
	}
	d.rec.phase("nothing goes wrong", true)
	settings := prepare(d)
	t.Cleanup(func() { _ = d.client.Close() })
	for range organizations {
		organization := newID()
		for how := range ways {
			d.add(organization, "UserCallInArrived", how)
		}
		d.add(organization, "UserStatus", tier2)
	}
	if d.simulation != nil {
		d.entities = append(d.entities, d.simulation.entities()...)
	}
	d.writeDirectory(d.entities)
	d.writePolicy("")
	maps.Copy(settings, rtetest.Settings{
		"directory.kind": "file", "directory.file": d.directory, "policy.file": d.policy,
		"log.level": "info", "log.audit_rate": "0",
		"auth.close_at_expiry": "true", "auth.expiry_grace": "1s", "auth.leeway": "1s",
		"resync.window": "1s", "resync.close_window": "4s",
		"shutdown.delay": "1s", "shutdown.drain": "3s", "shutdown.wait": "10s",
	})
	for i := range nodes {
		if d.proxy != nil && i == nodes-1 {
			settings["redis.addresses"] = d.proxy.Addr
		}
		d.nodes = append(d.nodes, rtetest.MustStartServer(t, programs.MustBuild(t, "."), settings))
	}
	d.balancer = rtetest.MustStartHAProxy(t, "leastconn", d.nodes...)
	d.cable = rtetest.MustStartProxy(t, d.balancer.Addr)
	d.startClients()
	d.publish = &publishers{
		t: t, rec: d.rec, client: d.client, word: "PUBLISH", pause: 200 * time.Millisecond,
		http: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second},
	}
	if d.cluster != nil {
		d.publish.word = "SPUBLISH"
	}
	if !rtetest.RedisHasFunctions(t) {
		d.publish.script = script(t)
	}
	for _, n := range d.nodes {
		d.publish.nodes = append(d.publish.nodes, n.ConsoleURL)
	}
	return d
}

// add adds an entity with one stream.
func (d *deployment) add(organization, event string, how way) {
	e := entity{newID(), "User", organization}
	d.entities = append(d.entities, e)
	d.streams = append(d.streams, &stream{
		topic: history.Topic{Organization: organization, Entity: e.ID, Type: event}, way: how, state: event == "UserStatus",
	})
}

// topics returns the topics of an organization, by its number.
func (d *deployment) topics(number int) (list []history.Topic) {
	for _, s := range d.streams {
		if s.topic.Organization == d.streams[number*len(d.streams)/organizations].topic.Organization {
			list = append(list, s.topic)
		}
	}
	return list
}

// writeDirectory writes the file of the directory.
func (d *deployment) writeDirectory(entities []entity) {
	d.t.Helper()
	text, err := json.Marshal(map[string]any{"entities": entities})
	if err != nil {
		d.t.Fatal(err)
	}
	rtetest.MustReplaceFile(d.t, d.directory, text)
}

// writePolicy writes the file of the policy: supervisors get all events except one.
func (d *deployment) writePolicy(except string) {
	d.t.Helper()
	rtetest.MustReplaceFile(d.t, d.policy, fmt.Appendf(nil,
		"rules:\n  - {roles: [supervisor], relation: organization, events: [\"*\"], except: [UserAlert, %s]}\n",
		cmp.Or(except, "UserSetting")))
}

// startClients starts the clients: in each organization one with notices, one without, one with notices and last
// states, whose subscription comes and goes, and two of Microsoft's. One more has tokens that expire, and one a token
// that is revoked.
func (d *deployment) startClients() {
	d.t.Helper()
	var library []*member
	var all sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	d.t.Cleanup(func() {
		cancel()
		all.Wait()
	})
	dial := newWireHTTP()
	d.begin = func(m *member, features string) {
		d.members = append(d.members, m)
		url := d.balancer.HubURL
		if strings.HasPrefix(m.name, behindCable) {
			url = strings.Replace(url, d.balancer.Addr, d.cable.Addr, 1)
		}
		all.Go(func() { (&wireClient{member: m, url: url, features: features, http: dial}).run(ctx) })
	}
	for number := range organizations {
		name := fmt.Sprintf("%s %d", behindCable, number)
		d.begin(d.member(number, history.Client{Name: name, Notices: true}, 0), "notices")
		d.begin(d.member(number, history.Client{Name: fmt.Sprintf("raw %d", number)}, 0), "")
		m := d.member(number, history.Client{
			Name: fmt.Sprintf("raw that comes and goes %d", number), Notices: true, Snapshot: true,
		}, 0)
		m.churns = true
		d.begin(m, "notices,snapshot")
		for _, protocol := range []string{"JSON", "MessagePack"} {
			name := fmt.Sprintf("Microsoft's, %s, %d", protocol, number)
			library = append(library, d.member(number, history.Client{Name: name}, 0))
		}
	}
	d.begin(d.member(0, history.Client{Name: shortLived, Notices: true}, 15*time.Second), "notices")
	d.addRevocable()
	if d.simulation != nil {
		library = append(library, d.startWatching()...)
	}
	startLibrary(d.t, d.balancer.HubURL, library)
	d.members = append(d.members, library...)
}

// addRevocable starts a client whose token is going to be revoked.
func (d *deployment) addRevocable() {
	d.t.Helper()
	d.revocations++
	name := fmt.Sprintf("raw whose token is revoked, %d", d.revocations)
	d.revocable = d.member(1, history.Client{Name: name, Notices: true}, 0)
	d.revocable.leaves = true
	d.begin(d.revocable, "notices")
}

// member adds a client of an organization. It also tries to subscribe to a topic of another one. Its tokens have its
// name as their id, and expire after life; 0: after an hour.
func (d *deployment) member(number int, c history.Client, life time.Duration) *member {
	return d.memberFor(d.topics(number), d.topics((number + 1) % organizations)[0], c, life)
}

// memberFor adds a client of the organization of some topics, which also tries to subscribe to a topic of another one.
func (d *deployment) memberFor(
	topics []history.Topic, foreign history.Topic, c history.Client, life time.Duration,
) *member {
	m := &member{name: c.Name, rec: d.rec, topics: append(slices.Clone(topics), foreign), last: map[history.Topic]int{}}
	m.want(topics)
	user := newID()
	m.token = func() (string, time.Duration) {
		end, expires := time.Now().Add(time.Hour), time.Duration(0)
		if life > 0 {
			// A node whose clock is behind accepts a token for so much longer.
			late := max(0, -time.Duration(d.rec.skew.Load()))
			end, expires = time.Now().Add(life), d.rec.now()+life+late
		}
		return rtetest.MustSign(d.t, []byte(rtetest.Secret), `{"alg":"HS256","typ":"JWT"}`, fmt.Sprintf(
			`{"sub":%q,"org":%q,"role":"supervisor","jti":%q,"iss":%q,"aud":%q,"exp":%d}`,
			user, topics[0].Organization, c.Name, rtetest.Issuer, rtetest.Audience, end.Unix())), expires
	}
	for _, topic := range topics {
		c.Rights = append(c.Rights, history.Right{Topic: topic})
	}
	c.Wire = strings.HasPrefix(c.Name, "raw")
	d.rec.add(c)
	return m
}

// waitWhole waits until all nodes are there, all clients have what they want, and each acknowledged event has reached
// its clients or lies in an interval of a notice. It reports whether that is so.
func (d *deployment) waitWhole(during string) bool {
	d.t.Helper()
	d.balancer.WaitFor(len(d.nodes))
	for _, m := range d.members {
		d.waitFor(fmt.Sprintf("%s: %s has all its subscriptions", during, m.name), m.isWhole)
	}
	end := d.rec.now()
	for deadline := time.Now().Add(3 * rtetest.Patience); time.Now().Before(deadline); {
		if !history.Check(d.rec.history(end)).Has(history.Missing) {
			return true
		}
		time.Sleep(200 * time.Millisecond)
	}
	return false
}

// waitFor waits for a condition.
func (d *deployment) waitFor(what string, condition func() bool) {
	d.t.Helper()
	d.nodes[0].WaitLong(4*rtetest.Patience, what, condition)
}

// readStates records the last states that a new client gets.
func (d *deployment) readStates() {
	d.t.Helper()
	requested := d.rec.now()
	var readers []*member
	var all sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	defer all.Wait()
	defer cancel()
	for number := range organizations {
		var states []history.Topic
		for _, s := range d.streams {
			if s.state && slices.Contains(d.topics(number), s.topic) {
				states = append(states, s.topic)
			}
		}
		m := d.member(number, history.Client{
			Name: fmt.Sprintf("raw that is new %d", number), Notices: true, Snapshot: true,
		}, 0)
		m.topics = states
		m.want(states)
		readers = append(readers, m)
		c := &wireClient{member: m, url: d.balancer.HubURL, features: "notices,snapshot", http: newWireHTTP()}
		all.Go(func() { c.run(ctx) })
	}
	whole := func() bool {
		return !slices.ContainsFunc(readers, func(m *member) bool { return slices.Contains(m.states(), -1) })
	}
	for deadline := time.Now().Add(rtetest.Patience); !whole() && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond)
	}
	for _, m := range readers {
		for i, number := range m.states() {
			d.rec.state(history.State{Topic: m.topics[i], Requested: requested, Number: number})
		}
	}
}

// keep writes the history into a folder that stays, and returns its path.
func (d *deployment) keep(h *history.History) string {
	d.t.Helper()
	dir, err := os.MkdirTemp("", "rte-audit-")
	if err != nil {
		d.t.Fatal(err)
	}
	path := filepath.Join(dir, "history.json.gz")
	if err := history.Keep(h, path); err != nil {
		d.t.Fatal(err)
	}
	return path
}
