package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"

	"github.com/rte-server/rte-server/internal/diagnosis"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// connectTest is a run of "config check --connect".
type connectTest struct {
	name string
	args []string
	want []string // parts of lines of the output
	code int
}

func (c *connectTest) run(t *testing.T) {
	t.Helper()
	began := time.Now()
	stdout, stderr, err := command(t, "", append([]string{"config", "check", "--connect"}, c.args...)...)
	if exitCode(err) != c.code {
		t.Errorf("ended with %d: %v", exitCode(err), err)
	}
	for _, want := range c.want {
		if !strings.Contains(stdout, want) {
			t.Errorf("no line has %q", want)
		}
	}
	for line := range strings.Lines(stdout) {
		if wrong := strings.HasPrefix(line, "failed"); wrong != strings.Contains(line, "; next: ") &&
			!strings.HasPrefix(line, "warning") {
			t.Errorf("no advice, or too much: %s", line)
		}
	}
	if strings.Contains(stdout+stderr, "a password") {
		t.Error("the password is in the output")
	}
	if took := time.Since(began); took > patience/2 {
		t.Errorf("it took %v", took)
	}
	if t.Failed() {
		t.Logf("output:\n%s%s", stdout, stderr)
	}
}

// aclNode is the user "node" of docs/redis.md without the rights that a test takes away.
func aclNode(prefix string, without ...string) []string {
	rules := "node on >secret resetkeys resetchannels &" + prefix + "* ~" + prefix + "* -@all +ping +client|setname " +
		"+subscribe +unsubscribe +ssubscribe +sunsubscribe +publish +spublish +get +mget +hvals +xread +xrange +xrevrange " +
		"+time +info +cluster|nodes +cluster|slots +zadd +zscan +zremrangebyscore +fcall +fcall_ro +function|load +eval " +
		"+evalsha +incr +xadd +expire +set +hset +hdel +hlen +hexists +hgetall +ttl"
	for _, rule := range without {
		rules = strings.Replace(rules, " +"+rule+" ", " ", 1)
	}
	return append([]string{"ACL", "SETUSER"}, strings.Fields(rules)...)
}

func TestConfigCheck_connectsToRedis(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	locked := rtetest.MustStartRedis(t, "--requirepass", "right")
	renamed := rtetest.MustStartRedis(t, "--rename-command", "XRANGE", "", "--rename-command", "INFO", "")
	_, port, _ := net.SplitHostPort(server.Addr)
	replica := rtetest.MustStartRedis(t, "--replicaof", "127.0.0.1 "+port)
	full := rtetest.MustStartRedis(t, "--maxmemory", "1", "--maxmemory-policy", "noeviction")
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	closed := rtetest.MustFreeAddr(t)
	as := func(user string) []string {
		return []string{"--redis.addresses=" + server.Addr, "--redis.username=" + user, "--redis.password=secret"}
	}
	for user, rules := range map[string][]string{
		"node": aclNode("rte:"), "staging": aclNode("staging:"),
		"reader":  aclNode("rte:", "incr", "fcall", "xadd", "eval", "evalsha"),
		"partial": aclNode("rte:", "incr", "function|load"),
		"blind":   aclNode("rte:", "xrange", "mget", "zscan"), "deaf": aclNode("rte:", "subscribe"),
		"dumb": aclNode("rte:", "publish"),
	} {
		rules[2] = user
		redisCLI(t, server, "", rules...)
	}
	for _, test := range []connectTest{
		{
			"everything works",
			[]string{"--redis.addresses=" + server.Addr},
			[]string{
				"ok      redis " + server.Addr + ": connection: without TLS", "login: no login", "version: Redis 7",
				"role: master", "the user may read", "the user may subscribe rte:*", "a published message arrived",
				"the user may publish", "the library is missing, the first node loads it", "directory: read: none",
				"the servers answer",
			},
			0,
		},
		{"user of a node", as("node"), []string{`login: as "node"`, "the user may publish"}, 0},
		{"another prefix", append(as("staging"), "--redis.prefix=staging:"), []string{"may subscribe staging:*"}, 0},
		{
			"the prefix of others", as("staging"),
			[]string{"failed  redis " + server.Addr + ": rights: the user may not: GET on rte:n:"},
			1,
		},
		{"may only receive", as("reader"), []string{"warning redis", "the user may only receive"}, 0},
		{
			"may not count or load", as("partial"),
			[]string{"it lacks INCR", "the library is missing, and the user may not load it"},
			0,
		},
		{"may not read", as("blind"), []string{"the user may not: XRANGE on", "MGET on", "ZSCAN on"}, 1},
		{"may not subscribe", as("deaf"), []string{"failed  redis", "channels: the user may not subscribe"}, 1},
		{
			"may not publish", as("dumb"),
			[]string{"delivery: a published message did not arrive: NOPERM", "it lacks PUBLISH"},
			1,
		},
		{
			"wrong password",
			[]string{"--redis.addresses=" + locked.Addr, "--redis.password=a password"},
			[]string{"login: WRONGPASS", "next: correct redis.username and redis.password"},
			1,
		},
		{"no password", []string{"--redis.addresses=" + locked.Addr}, []string{"NOAUTH", "set redis.password"}, 1},
		{
			"closed port",
			[]string{"--redis.addresses=" + closed},
			[]string{"connection refused, nothing listens there; next: start the server, or correct redis.addresses"},
			1,
		},
		{
			"silent port",
			[]string{"--redis.addresses=" + silent.Addr().String(), "--redis.command_timeout=300ms"},
			[]string{"login: no answer in time"},
			1,
		},
		{"no such database", []string{"--redis.addresses=" + server.Addr, "--redis.db=99"}, []string{"correct redis.db"}, 1},
		{
			"TLS to a port without",
			[]string{"--redis.addresses=" + server.Addr, "--redis.tls.enabled"},
			[]string{"failed  redis " + server.Addr + ": connection"},
			1,
		},
		{
			"renamed commands",
			[]string{"--redis.addresses=" + renamed.Addr},
			[]string{"the server does not know XRANGE", "warning redis " + renamed.Addr + ": version: INFO"},
			1,
		},
		{"replica", []string{"--redis.addresses=" + replica.Addr}, []string{"it is a slave and not a master"}, 1},
		{"no memory", []string{"--redis.addresses=" + full.Addr}, []string{"writes: writes refused", "give Redis memory"}, 1},
		{"no cluster", []string{"--redis.addresses=" + server.Addr, "--redis.cluster"}, []string{"remove redis.cluster"}, 1},
		{"no Redis", nil, []string{"redis: addresses: none: the node would be alone"}, 0},
		{"wrong configuration", []string{"--redis.addresses=nowhere"}, nil, 2},
	} {
		t.Run(test.name, test.run)
	}
	if keys := redisCLI(t, server, "", "KEYS", "*"); keys != "" {
		t.Errorf("the checks left keys behind: %s", keys)
	}
	if got := redisCLI(t, server, "", "FUNCTION", "LIST"); got != "" {
		t.Errorf("the checks loaded functions: %s", got)
	}
}

func TestConfigCheck_connectsToRedisWithTLS(t *testing.T) {
	cert, key := mustCertificate(t)
	other, _ := mustCertificate(t)
	address := rtetest.MustFreeAddr(t)
	_, port, _ := net.SplitHostPort(address)
	rtetest.MustStartRedis(t, "--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file",
		cert, "--tls-auth-clients", "yes")
	plain := []string{"--redis.addresses=" + address}
	secure := append(plain, "--redis.tls.enabled")
	identity := append(secure, "--redis.tls.cert_file="+cert, "--redis.tls.key_file="+key)
	with := func(args []string, more ...string) []string { return append(slices.Clip(args), more...) }
	for _, test := range []connectTest{
		{"trusted", with(identity, "--redis.tls.ca_file="+cert), []string{"connection: TLS 1.3", "arrived"}, 0},
		{
			"another authority", with(identity, "--redis.tls.ca_file="+other),
			[]string{"the certificate of the server is not trusted; next: add its authority to redis.tls.ca_file"},
			1,
		},
		{
			"another name", with(identity, "--redis.tls.ca_file="+cert, "--redis.tls.server_name=redis.example"),
			[]string{"the certificate of the server is for another name"},
			1,
		},
		{"no TLS", plain, []string{"if its port wants TLS, set redis.tls.enabled"}, 1},
		{"no certificate", with(secure, "--redis.tls.ca_file="+cert), []string{"failed  redis " + address + ": login"}, 1},
	} {
		t.Run(test.name, test.run)
	}
}

func TestConfigCheck_connectsToSentinelsAndCluster(t *testing.T) {
	sentinels := rtetest.MustStartSentinels(t, time.Second)
	cluster := rtetest.MustStartCluster(t, 3, 0, time.Second)
	redisCLI(t, cluster.Servers[1], "", append(aclNode("rte:"), "on")...)
	for _, test := range []connectTest{
		{
			"sentinels",
			[]string{
				"--redis.addresses=" + strings.Join(sentinels.Addrs, ","),
				"--redis.sentinel_master=" + rtetest.SentinelMaster,
			},
			[]string{
				"sentinel " + sentinels.Addrs[2] + ": master rte: the master is " + sentinels.Servers[0].Addr,
				"redis " + sentinels.Servers[0].Addr + ": delivery: a published message arrived",
			},
			0,
		},
		{
			"one Sentinel is away",
			[]string{
				"--redis.addresses=" + sentinels.Addrs[0] + "," + rtetest.MustFreeAddr(t), "--redis.sentinel_master=rte",
			},
			[]string{"master rte: connection refused", "a published message arrived"},
			1,
		},
		{
			"another master",
			[]string{"--redis.addresses=" + sentinels.Addrs[0], "--redis.sentinel_master=other"},
			[]string{"it watches no master of this name; next: correct redis.sentinel_master"},
			1,
		},
		{
			"cluster",
			[]string{"--redis.addresses=" + cluster.Servers[0].Addr, "--redis.cluster"},
			[]string{
				"cluster: it knows 3 servers", "3 masters have all slots",
				cluster.Servers[0].Addr + ": delivery: a published message arrived",
				cluster.Servers[2].Addr + ": publishing: the user may publish",
			},
			0,
		},
		{
			"user that one server does not know",
			[]string{
				"--redis.addresses=" + cluster.Servers[1].Addr, "--redis.cluster", "--redis.username=node",
				"--redis.password=secret",
			},
			[]string{cluster.Servers[0].Addr + ": login: WRONGPASS", cluster.Servers[1].Addr + ": delivery: a published"},
			1,
		},
	} {
		t.Run(test.name, test.run)
	}
	cluster.Servers[2].Kill()
	lost := connectTest{
		"",
		[]string{"--redis.addresses=" + cluster.Servers[0].Addr, "--redis.cluster"},
		[]string{"slots have no master; next: repair the cluster"},
		1,
	}
	eventually(t, "the cluster to notice", func() bool {
		return strings.Contains(redisCLI(t, cluster.Servers[0], "", "CLUSTER", "NODES"), "fail ")
	})
	lost.run(t)
}

// mustKeySet returns a key set with one usable and one secret key.
func mustKeySet(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good, err := jwkset.NewJWKFromKey(&key.PublicKey, jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{KID: "one"}})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(good.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`{"keys":[%s,{"kty":"oct","kid":"two","k":"c2VjcmV0"}]}`, text)
}

func TestConfigCheck_connectsToKeySetsAndDirectory(t *testing.T) {
	keys := mustKeySet(t)
	var base string
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	mux := http.NewServeMux()
	answer := func(path string, status int, body func() string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			if status/100 == 3 {
				w.Header().Set("Location", "/keys")
			}
			w.WriteHeader(status)
			_, _ = fmt.Fprint(w, body())
		})
	}
	text := func(s string) func() string { return func() string { return s } }
	answer("/keys", 200, text(keys))
	answer("/moved", 302, text(""))
	answer("/missing", 404, text(""))
	answer("/broken", 500, text(""))
	answer("/html", 200, text("<html>"))
	answer("/empty", 200, text(`{"keys":[]}`))
	answer("/good/.well-known/openid-configuration", 200, func() string {
		return fmt.Sprintf(`{"issuer":"%s/good","jwks_uri":"%[1]s/keys"}`, base)
	})
	answer("/slash/.well-known/openid-configuration", 200, func() string {
		return fmt.Sprintf(`{"issuer":"%s/slash/","jwks_uri":"%[1]s/keys"}`, base)
	})
	answer("/elsewhere/.well-known/openid-configuration", 200, func() string {
		return fmt.Sprintf(`{"issuer":"%s/elsewhere","jwks_uri":"%[1]s/other"}`, base)
	})
	mux.HandleFunc("POST /directory", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer sesame" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = fmt.Fprint(w, `{"entities":[]}`)
	})
	mux.HandleFunc("/slow", func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // otherwise the server does not notice the end of the client
		<-r.Context().Done()
	})
	plain := httptest.NewServer(mux)
	defer plain.Close()
	base = plain.URL
	set := func(path string, more ...string) []string {
		return append([]string{"--auth.jwks_url=" + base + path, "--auth.audience=a"}, more...)
	}
	dir := func(url string, more ...string) []string {
		return append([]string{"--directory.kind=http", "--directory.url=" + url}, more...)
	}
	for _, test := range []connectTest{
		{
			"keys", set("/keys"),
			[]string{"read: keys that can verify signatures: 1", `the key "two" is skipped: a private or secret key`},
			0,
		},
		{"issuer agrees", set("/keys", "--auth.issuer="+base+"/good"), []string{"names this key set"}, 0},
		{
			"issuer with a slash", set("/keys", "--auth.issuer="+base+"/slash"),
			[]string{fmt.Sprintf("%q calls itself %q", base+"/slash", base+"/slash/")},
			1,
		},
		{
			"keys of another issuer", set("/keys", "--auth.issuer="+base+"/elsewhere"),
			[]string{"publishes its keys elsewhere"},
			0,
		},
		{"issuer without metadata", set("/keys", "--auth.issuer="+base), []string{"publishes no metadata"}, 0},
		{"other algorithm", set("/keys", "--auth.algorithms=RS256"), []string{"0 of 1 fit auth.algorithms"}, 1},
		{"redirect", set("/moved"), []string{"read: status 302; next: name the final URL"}, 1},
		{"not found", set("/missing"), []string{"read: status 404; next: correct auth.jwks_url"}, 1},
		{"broken", set("/broken"), []string{"status 500; next: look at the server"}, 1},
		{"web page", set("/html"), []string{"not a JSON web key set"}, 1},
		{"no keys", set("/empty"), []string{"no key that can verify a signature"}, 1},
		{"untrusted", []string{"--auth.jwks_url=" + server.URL + "/keys"}, []string{"is not trusted"}, 1},
		{
			"no server",
			[]string{"--auth.jwks_url=http://" + rtetest.MustFreeAddr(t) + "/keys?secret=a%20password"},
			[]string{"connection refused"},
			1,
		},
		{"no name", []string{"--auth.jwks_url=http://keys.invalid/keys"}, []string{"cannot be resolved"}, 1},
		{"no answer", set("/slow", "--timeout=500ms"), []string{"no answer in time"}, 1},

		{"directory", dir(base+"/directory", "--directory.token=sesame"), []string{"directory", "it answered in"}, 0},
		{"wrong token", dir(base + "/directory"), []string{"status 401; next: correct directory.token"}, 1},
		{"wrong path", dir(base + "/nowhere"), []string{"status 404; next: correct directory.url"}, 1},
		{"directory away", dir("http://" + rtetest.MustFreeAddr(t)), []string{"directory 127.", "connection refused"}, 1},
		{"directory hangs", dir(base+"/slow", "--directory.timeout=300ms"), []string{"no answer in time"}, 1},
		{"no directory", dir(base + "/html"), []string{"malformed response"}, 1},
	} {
		t.Run(test.name, test.run)
	}
}

func TestConfigCheck_printsJSON(t *testing.T) {
	stdout, _, err := command(t, "", "config", "check", "--connect", "--output=json",
		"--redis.addresses="+rtetest.MustFreeAddr(t))
	if exitCode(err) != 1 {
		t.Errorf("ended with %v", err)
	}
	var answer struct {
		OK       bool
		Findings []diagnosis.Finding
	}
	if err := json.Unmarshal([]byte(stdout), &answer); err != nil {
		t.Fatalf("%v\n%s", err, stdout)
	}
	if answer.OK || len(answer.Findings) != 2 || answer.Findings[0].Status != diagnosis.Failed ||
		answer.Findings[0].Check != "connection" || answer.Findings[0].Next == "" {
		t.Errorf("got %+v", answer)
	}
	if _, _, err := command(t, "", "config", "check", "--output=json"); exitCode(err) != 2 {
		t.Errorf("--output=json alone: %v", err)
	}
}
