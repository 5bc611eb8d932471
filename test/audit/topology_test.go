package audit

import (
	"slices"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// site is a kind of Redis with its faults.
type site struct {
	name string
	// prepare starts Redis, sets the client of the publishers, and returns the settings of nodes.
	prepare func(*deployment) rtetest.Settings
	faults  []fault
	// long: only "make chaos" has it.
	long bool
}

func sites() []site {
	return []site{
		{name: "one Redis", prepare: (*deployment).prepareRedis, faults: faults()},
		{name: "Sentinels", long: true, prepare: (*deployment).prepareSentinels, faults: []fault{
			{name: "Sentinels: `SENTINEL FAILOVER`", forks: true, do: func(d *deployment) { d.sentinels.Failover() }},
			{name: "Sentinels: master killed", forks: true, do: func(d *deployment) {
				master := d.sentinels.Master()
				master.Kill()
				d.sentinels.WaitForMasterOtherThan(master)
				master.Start()
			}},
			{name: "Sentinels: master frozen", forks: true, do: func(d *deployment) {
				master := d.sentinels.Master()
				master.Freeze()
				d.sentinels.WaitForMasterOtherThan(master)
				master.Thaw()
			}},
		}},
		{name: "cluster", long: true, prepare: (*deployment).prepareCluster, faults: []fault{
			{name: "cluster: slot of an organization moved and moved back", do: (*deployment).moveSlot},
			{name: "cluster: `CLUSTER FAILOVER`", forks: true, do: (*deployment).failOver},
			{name: "cluster: master killed", forks: true, do: (*deployment).killMaster},
		}},
	}
}

func (d *deployment) prepareRedis() rtetest.Settings {
	d.t.Helper()
	start := rtetest.MustStartRedis
	if full() {
		start = rtetest.MustStartRedisWithClock
	}
	d.redis = start(d.t, "--appendonly", "yes", "--appendfsync", "always")
	d.proxy = rtetest.MustStartProxy(d.t, d.redis.Addr)
	d.client = d.redis.Client()
	return rtetest.Settings{"redis.addresses": d.redis.Addr}
}

func (d *deployment) prepareSentinels() rtetest.Settings {
	d.t.Helper()
	d.sentinels = rtetest.MustStartSentinels(d.t, 1500*time.Millisecond)
	d.client = goredis.NewFailoverClient(&goredis.FailoverOptions{
		MasterName: rtetest.SentinelMaster, SentinelAddrs: d.sentinels.Addrs,
		MaxRetries: -1, Protocol: 2, ReadTimeout: time.Second, DialTimeout: time.Second,
	})
	return rtetest.Settings{
		"redis.addresses": strings.Join(d.sentinels.Addrs, ","), "redis.sentinel_master": rtetest.SentinelMaster,
	}
}

func (d *deployment) prepareCluster() rtetest.Settings {
	d.t.Helper()
	d.cluster = rtetest.MustStartCluster(d.t, 3, 3, 1500*time.Millisecond)
	d.client = goredis.NewClusterClient(&goredis.ClusterOptions{
		Addrs: d.cluster.Addrs(), MaxRetries: -1, MaxRedirects: 5, Protocol: 2,
		ReadTimeout: time.Second, DialTimeout: time.Second,
		ClusterStateReloadInterval: time.Second, // it does not reload sooner when a server is gone
	})
	return rtetest.Settings{"redis.addresses": strings.Join(d.cluster.Addrs(), ","), "redis.cluster": "true"}
}

// slot returns the slot of the lane of the first organization.
func (d *deployment) slot() int {
	d.t.Helper()
	client := d.cluster.Servers[0].Client()
	defer client.Close()
	lane := "rte:org:" + d.streams[0].topic.Organization
	slot, err := client.ClusterKeySlot(d.t.Context(), lane).Result()
	if err != nil {
		d.t.Fatal(err)
	}
	return int(slot)
}

func (d *deployment) moveSlot() {
	d.t.Helper()
	slot := d.slot()
	from := d.cluster.Owner(slot)
	to := slices.Index([]bool{from != 0, from != 1, from != 2}, true)
	d.cluster.MoveSlot(slot, from, to)
	lasts(2 * time.Second)
	d.cluster.MoveSlot(slot, to, from)
}

// failOver makes the replica of the master of the first organization the master, without a fault.
func (d *deployment) failOver() {
	d.t.Helper()
	slot := d.slot()
	master := d.cluster.Owner(slot)
	replica := d.cluster.Servers[d.cluster.Replica(master)].Client()
	defer replica.Close()
	if err := replica.ClusterFailover(d.t.Context()).Err(); err != nil {
		d.t.Fatal(err)
	}
	d.waitFor("the replica to be the master", func() bool { return d.cluster.Owner(slot) != master })
}

// killMaster kills the master of the first organization, and starts it again when its replica has taken over.
func (d *deployment) killMaster() {
	d.t.Helper()
	slot := d.slot()
	master := d.cluster.Owner(slot)
	d.cluster.Servers[master].Kill()
	d.waitFor("the replica to be the master", func() bool {
		owner := d.cluster.Owner(slot)
		return owner >= 0 && owner != master
	})
	d.cluster.Servers[master].Start()
}
