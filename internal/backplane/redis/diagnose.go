package redis

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	goredis "github.com/redis/go-redis/v9"

	"github.com/rte-server/rte-server/internal/diagnosis"
	"github.com/rte-server/rte-server/internal/events"
)

// Diagnose tries every server that carries lanes as a node would use it: connection, login, version, role, rights, the
// function library, and a message on the path of events. It changes nothing in Redis. ctx bounds its duration. It takes
// the options of New, and does not use their Catalog, Sink and Registerer.
func Diagnose(ctx context.Context, o Options) ([]diagnosis.Finding, error) {
	o.Catalog, o.Sink = events.Builtin(), noSink{}
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	var findings []diagnosis.Finding
	var masters map[string]clusterPart
	switch {
	case o.Cluster:
		findings, masters = o.diagnoseCluster(ctx)
	case o.SentinelMaster != "":
		findings, masters = o.diagnoseSentinels(ctx)
	default:
		masters = map[string]clusterPart{}
		for _, address := range o.Addresses {
			masters[address] = clusterPart{}
		}
	}
	var checks []func() []diagnosis.Finding
	for _, address := range slices.Sorted(maps.Keys(masters)) {
		d := &serverDiagnosis{o: &o, address: address, part: masters[address], subject: "redis " + address}
		checks = append(checks, func() []diagnosis.Finding { return d.run(ctx) })
	}
	return append(findings, diagnosis.Together(checks...)...), nil
}

// clusterPart is the part of a cluster that one server has.
type clusterPart struct {
	owns func(channel string) bool // nil: it has all channels
}

// diagnoseSentinels asks each Sentinel for the masters.
func (o *Options) diagnoseSentinels(ctx context.Context) ([]diagnosis.Finding, map[string]clusterPart) {
	masters := map[string]clusterPart{}
	var findings []diagnosis.Finding
	for _, name := range o.servers() {
		known := ""
		for _, address := range o.Addresses {
			f := diagnosis.Finding{Subject: "sentinel " + address, Check: "master " + name, Status: diagnosis.OK}
			found, err := o.masterAt(ctx, name, address)
			switch {
			case err != nil:
				f.Status = diagnosis.Failed
				f.Detail, f.Next = sentinelCause(err, name)
			case known != "" && found != known:
				f.Status, f.Detail = diagnosis.Failed, "the master is "+found+", another Sentinel names "+known
				f.Next = "wait for the end of a failover, or repair the Sentinels"
				masters[found] = clusterPart{}
			default:
				known, f.Detail = found, "the master is "+found
				masters[found] = clusterPart{}
			}
			findings = append(findings, f)
		}
	}
	return findings, masters
}

// masterAt returns the master that one Sentinel names.
func (o *Options) masterAt(ctx context.Context, name, address string) (string, error) {
	s := sentinels{options: o, master: name}
	client := s.client(address)
	defer client.Close()
	return s.masterOf(ctx, client)
}

// sentinelCause explains why a Sentinel names no master.
func sentinelCause(err error, name string) (detail, next string) {
	switch {
	case err == goredis.Nil: //nolint:errorlint // the driver returns it as it is
		return "it watches no master of this name", "correct redis.sentinel_master, now " + name
	case isReply(err):
		return err.Error(), "correct redis.sentinel_username and redis.sentinel_password"
	}
	return diagnosis.Cause(err, "redis.addresses", "redis.tls.ca_file")
}

// diagnoseCluster reads the view of each configured server.
func (o *Options) diagnoseCluster(ctx context.Context) ([]diagnosis.Finding, map[string]clusterPart) {
	var findings []diagnosis.Finding
	owners := make([]owner, slotCount)
	for _, address := range o.Addresses {
		f := diagnosis.Finding{Subject: "redis " + address, Check: "cluster", Status: diagnosis.OK}
		view, err := o.clusterView(ctx, address)
		if err != nil {
			f.Status = diagnosis.Failed
			f.Detail, f.Next = loginCause(err)
			if strings.Contains(err.Error(), "cluster support disabled") {
				f.Next = "remove redis.cluster, or name servers of a cluster"
			}
		} else {
			claim(owners, view, address)
			f.Detail = fmt.Sprintf("it knows %d servers", strings.Count(strings.TrimSpace(view), "\n")+1)
		}
		findings = append(findings, f)
	}
	masters, uncovered := map[string]clusterPart{}, 0
	for _, o := range owners {
		if o.address == "" {
			uncovered++
			continue
		}
		masters[o.address] = clusterPart{owns: func(channel string) bool {
			return owners[slot(channel)].address == o.address
		}}
	}
	if len(masters) == 0 {
		return findings, masters
	}
	slots := diagnosis.Finding{
		Subject: "redis cluster", Check: "slots", Status: diagnosis.OK,
		Detail: fmt.Sprintf("%d masters have all slots", len(masters)),
	}
	if uncovered > 0 {
		slots.Status, slots.Detail = diagnosis.Failed, fmt.Sprintf("%d of %d slots have no master", uncovered, slotCount)
		slots.Next = "repair the cluster: redis-cli --cluster fix"
	}
	return append(findings, slots), masters
}

// clusterView reads CLUSTER NODES from a server.
func (o *Options) clusterView(ctx context.Context, address string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, o.CommandTimeout)
	defer cancel()
	options := o.client(address)
	options.PoolSize = 1
	client := goredis.NewClient(options)
	defer client.Close()
	return client.ClusterNodes(ctx).Result()
}

// loginCause explains why a connection or its login failed.
func loginCause(err error) (detail, next string) {
	if !isReply(err) {
		return diagnosis.Cause(err, "redis.addresses", "redis.tls.ca_file")
	}
	text := err.Error()
	for _, known := range []struct{ part, next string }{
		{"WRONGPASS", "correct redis.username and redis.password"},
		{"invalid password", "correct redis.password"},
		{"NOAUTH", "set redis.password, and redis.username if the user is not \"default\""},
		{"without any password configured", "remove redis.password, or give Redis a password"},
		{"protected mode", "give Redis a password, or bind it to a trusted network and switch protected-mode off"},
		{"DB index", "correct redis.db"},
		{"max number of clients", "raise maxclients of Redis"},
		{"LOADING", "wait until Redis has loaded its data"},
		{"MASTERDOWN", "wait for the master, or repair the replication"},
		{"NOPERM", "grant the command to the user (docs/redis.md, access control)"},
	} {
		if strings.Contains(text, known.part) {
			return text, known.next
		}
	}
	return text, "look at the log of Redis"
}
