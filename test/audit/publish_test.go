package audit

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/rte-server/rte-server/internal/rtetest"
	"github.com/rte-server/rte-server/test/audit/history"
)

// newID returns a random GUID.
func newID() string {
	var id [16]byte
	_, _ = rand.Read(id[:])
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

// way is how a publisher publishes its events.
type way int

// The ways into the server, as docs/redis.md names them. A mixed publisher takes the first three in turn.
const (
	tier0 way = iota
	tier1
	tier2
	overHTTP
	mixed
	ways
)

// stream is a topic and its publisher.
type stream struct {
	topic history.Topic
	way   way
	state bool // a UserStatus
	sent  int
}

// publishers publish the events of all streams.
type publishers struct {
	t       *testing.T
	rec     *recorder
	client  goredis.UniversalClient
	word    string // PUBLISH, or SPUBLISH in a cluster
	script  string // publishes where Redis has no functions; empty: it has
	nodes   []string
	http    *http.Client
	pause   time.Duration // between two events of a stream
	running sync.WaitGroup
	stop    context.CancelFunc
}

// start publishes until stop. Each way has a publisher of its own.
func (p *publishers) start(streams []*stream) {
	ctx, stop := context.WithCancel(context.Background())
	p.stop = func() {
		stop()
		p.running.Wait()
	}
	p.t.Cleanup(p.stop)
	for how := range ways {
		var mine []*stream
		for _, s := range streams {
			if s.way == how {
				mine = append(mine, s)
			}
		}
		p.running.Go(func() {
			tick := time.NewTicker(p.pause)
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
				for _, s := range mine {
					p.publish(s)
				}
			}
		})
	}
}

// publish publishes the next event of a stream once.
func (p *publishers) publish(s *stream) {
	how := s.way
	if how == mixed {
		how = way(s.sent % 3)
	}
	s.sent++
	id := newID()
	tier := map[way]string{tier0: "T0", tier1: "T1", tier2: "T2", overHTTP: "T2"}[how]
	ttl, state := -1, ""
	if s.state {
		ttl, state = 600, s.topic.Type
	}
	index, number := p.rec.publishing(s.topic, tier, id, state)
	data := fmt.Appendf(nil, `{"Id":%q,"RootEntityType":"Organization","RootEntityId":%q,"OrganizationId":%[2]q,`+
		`"EntityType":"User","EntityId":%q,"UserId":%[3]q,"EventType":%q,"MessageTTLSeconds":%d,"Timestamp":%q,"Number":%d}`,
		id, s.topic.Organization, s.topic.Entity, s.topic.Type, ttl, time.Now().UTC().Format(time.RFC3339Nano), number)
	var err error
	if how == overHTTP {
		err = p.post(id, data)
	} else {
		err = p.send(how, s, data)
	}
	p.rec.published(index, err == nil)
}

// send publishes through Redis.
func (p *publishers) send(how way, s *stream, data []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), rtetest.Patience)
	defer cancel()
	lane := "rte:org:" + s.topic.Organization
	journal, counter := "rte:j:{"+lane+"}", "rte:n:{"+lane+"}"
	switch how {
	case tier0:
		return p.client.Do(ctx, p.word, lane, data).Err()
	case tier1:
		_, err := p.client.TxPipelined(ctx, func(pipe goredis.Pipeliner) error {
			pipe.XAdd(ctx, &goredis.XAddArgs{Stream: journal, MaxLen: 5000, Approx: true, Values: []any{"d", data}})
			pipe.Expire(ctx, journal, 10*time.Minute)
			pipe.Do(ctx, p.word, lane, data)
			return nil
		})
		return err
	default:
		keys, ttl := []string{journal, counter}, 0
		if s.state {
			keys = append(keys, "rte:s:{"+lane+"}:User:"+s.topic.Entity+":"+s.topic.Type)
			ttl = 600
		}
		if p.script != "" {
			return p.client.Eval(ctx, p.script, keys, lane, data, 5000, ttl, p.word).Err()
		}
		return p.client.FCall(ctx, "rte_publish", keys, lane, data, 5000, ttl, p.word).Err()
	}
}

// post publishes over HTTP: at the next node when one gives no answer, with the same key.
func (p *publishers) post(key string, data []byte) (err error) {
	began := time.Now()
	for i := int(key[0]); time.Since(began) < 10*time.Second; i++ {
		if err = p.postAt(p.nodes[i%len(p.nodes)], key, data); err == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond) // the pause of a publisher that tries again, not a wait for something
	}
	return err
}

// postAt publishes at a node.
func (p *publishers) postAt(console, key string, data []byte) error {
	request, err := http.NewRequest(http.MethodPost, console+"/api/publish", bytes.NewReader(data))
	if err != nil {
		return err
	}
	request.Header.Set("Idempotency-Key", key)
	response, err := p.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", response.Status, text)
	}
	return nil
}

// script returns the script that publishes where Redis has no functions.
func script(t *testing.T) string {
	t.Helper()
	text, err := exec.Command(programs.MustBuild(t, "."), "redis", "functions", "--script").Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
