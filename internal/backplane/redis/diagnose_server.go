package redis

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/rte-server/rte-server/internal/backplane/redis/command"
	"github.com/rte-server/rte-server/internal/backplane/resp"
	"github.com/rte-server/rte-server/internal/diagnosis"
)

// leastMajor and leastMinor are the oldest tested version of Redis.
const leastMajor, leastMinor = 6, 2

// serverDiagnosis is the diagnosis of one server.
type serverDiagnosis struct {
	o        *Options
	address  string
	part     clusterPart
	subject  string
	client   *goredis.Client
	findings []diagnosis.Finding
}

// run makes all checks. Without a login it stops: all other checks need one.
func (d *serverDiagnosis) run(ctx context.Context) []diagnosis.Finding {
	options := d.o.client(d.address)
	options.PoolSize = 1
	d.client = goredis.NewClient(options)
	defer d.client.Close()
	if d.connection(ctx) && d.login(ctx) {
		d.server(ctx)
		if d.rights(ctx) {
			d.way(ctx)
		}
		d.publishing(ctx)
	}
	return d.findings
}

// add records a finding.
func (d *serverDiagnosis) add(status diagnosis.Status, check, detail, next string) {
	d.findings = append(d.findings, diagnosis.Finding{
		Subject: d.subject, Check: check, Status: status, Detail: detail, Next: next,
	})
}

// connection dials the server, with TLS if configured.
func (d *serverDiagnosis) connection(ctx context.Context) (ok bool) {
	began := time.Now()
	conn, err := d.o.dial(ctx, "tcp", d.address)
	if err != nil {
		detail, next := diagnosis.Cause(err, "redis.addresses or redis.tls.server_name", "redis.tls.ca_file")
		d.add(diagnosis.Failed, "connection", detail, next)
		return false
	}
	defer conn.Close()
	how := "without TLS"
	if secure, ok := conn.(*tls.Conn); ok {
		how = tls.VersionName(secure.ConnectionState().Version)
	}
	d.add(diagnosis.OK, "connection", fmt.Sprintf("%s, in %s", how, time.Since(began).Round(time.Millisecond)), "")
	return true
}

// login authenticates and sends the first command.
func (d *serverDiagnosis) login(ctx context.Context) (ok bool) {
	err := d.client.Ping(ctx).Err()
	if command.Unsupported(err) || goredis.HasErrorPrefix(err, "NOPERM") {
		err = nil // nodes do without PING
	}
	if err != nil {
		detail, next := loginCause(err)
		if d.o.nextTLS() == nil && !isReply(err) {
			next += "; if its port wants TLS, set redis.tls.enabled"
		}
		d.add(diagnosis.Failed, "login", detail, next)
		return false
	}
	who := "no login"
	username, password := d.o.Username, d.o.Password
	if d.o.Login != nil {
		username, password = d.o.Login()
	}
	switch {
	case username != "":
		who = "as " + strconv.Quote(username)
	case password != "":
		who = "with a password"
	}
	d.add(diagnosis.OK, "login", who, "")
	return true
}

// server checks the version and the role.
func (d *serverDiagnosis) server(ctx context.Context) {
	info := map[string]string{}
	for _, section := range []string{"server", "replication"} {
		text, err := d.client.Info(ctx, section).Result()
		if err != nil {
			d.add(diagnosis.Warning, "version", "INFO: "+err.Error(),
				"grant INFO, so that nodes can distinguish a master from a replica")
			return
		}
		for line := range strings.Lines(text) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
			info[key] = value
		}
	}
	version := info["redis_version"]
	if olderThan(version, leastMajor, leastMinor) {
		d.add(diagnosis.Failed, "version", "Redis "+version,
			fmt.Sprintf("use Redis %d.%d or later", leastMajor, leastMinor))
	} else {
		d.add(diagnosis.OK, "version", "Redis "+version, "")
	}
	if role := info["role"]; role != "master" {
		d.add(diagnosis.Failed, "role", "it is a "+role+" and not a master",
			"name the master in redis.addresses, or use Sentinels")
	} else {
		d.add(diagnosis.OK, "role", role, "")
	}
}

// olderThan compares a version such as 7.0.15. Other texts are not older.
func olderThan(version string, major, minor int) bool {
	first, rest, _ := strings.Cut(version, ".")
	second, _, _ := strings.Cut(rest, ".")
	a, err := strconv.Atoi(first)
	b, errMinor := strconv.Atoi(second)
	return err == nil && errMinor == nil && (a < major || a == major && b < minor)
}

// way sends a message on the path of events: it subscribes a channel as a node does, publishes to it, and waits for the
// message.
func (d *serverDiagnosis) way(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, d.o.DialTimeout+d.o.CommandTimeout)
	defer cancel()
	conn, err := d.o.openSubscriber(ctx, d.address)
	if err != nil {
		detail, next := loginCause(err)
		d.add(diagnosis.Failed, "delivery", detail, next)
		return
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	in := resp.NewReader(conn, d.o.MaxMessage, &resp.Pool{})
	if refused := d.subscribe(conn, in); refused != nil {
		d.add(diagnosis.Failed, "channels", "the user may not subscribe: "+strings.Join(refused, ", "),
			"grant &"+d.o.Layout.Named("rte:*")+" and SUBSCRIBE, in a cluster SSUBSCRIBE (docs/redis.md, access control)")
		return
	}
	d.add(diagnosis.OK, "channels", "the user may subscribe "+d.o.Layout.Named("rte:*"), "")
	channel := d.ownChannel()
	began := time.Now()
	if err = d.join(conn, channel); err == nil {
		_, err = in.Next()
	}
	if err == nil {
		err = command.Publish(ctx, d.client, d.o.Cluster, channel, "check").Err()
	}
	if err == nil {
		err = arrives(in, channel)
	}
	if err != nil {
		d.add(diagnosis.Failed, "delivery", "a published message did not arrive: "+err.Error(),
			"grant PUBLISH, in a cluster SPUBLISH; look for a proxy between this machine and Redis")
		return
	}
	took := time.Since(began).Round(10 * time.Microsecond)
	d.add(diagnosis.OK, "delivery", "a published message arrived after "+took.String(), "")
}

// subscribe tries one channel of each kind that nodes subscribe, and returns the refused ones. In a cluster, the
// refusal of a channel of another server proves the right.
func (d *serverDiagnosis) subscribe(conn *subscriber, in *resp.Reader) (refused []string) {
	for _, name := range []string{"rte:hb:check", "rte:c:check", "rte:peer:check", d.lane()} {
		name = d.o.Layout.Named(name)
		err := d.join(conn, name)
		var r resp.Reply
		if err == nil {
			r, err = in.Next()
		}
		switch {
		case err != nil:
			return append(refused, name+" ("+err.Error()+")")
		case r.Kind == resp.Error && !strings.HasPrefix(string(r.Payload), "MOVED"):
			refused = append(refused, name+" ("+string(r.Payload)+")")
		}
	}
	return refused
}

// join requests the subscription of a channel.
func (d *serverDiagnosis) join(conn *subscriber, channel string) error {
	text := resp.AppendCommand(nil, d.o.word(verbJoin), 1)
	_, err := conn.Write(resp.AppendBulk(text, channel))
	return err
}

// ownChannel returns the name of a channel of the server. Other programs do not use it.
func (d *serverDiagnosis) ownChannel() string {
	random := rand.Text()
	for i := 0; ; i++ {
		channel := d.o.Layout.Named(fmt.Sprintf("rte:hb:%s:%d", random, i))
		if d.part.owns == nil || d.part.owns(channel) {
			return channel
		}
	}
}

// arrives waits for a message on a channel.
func arrives(in *resp.Reader, channel string) error {
	for {
		r, err := in.Next()
		switch {
		case err != nil:
			return err
		case r.Kind == resp.Error:
			return errors.New(string(r.Payload))
		case r.Kind == resp.Message && string(r.Channel) == channel:
			return nil
		}
	}
}
