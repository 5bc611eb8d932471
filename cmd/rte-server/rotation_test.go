package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/config"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// rotatedFile shows that a running server takes over a new version of a file, and clients keep their connections.
type rotatedFile struct {
	// rotate rotates the file of a server that it starts.
	rotate func(t *testing.T)
	// elsewhere names the test that rotates the file; rotate is then nil.
	elsewhere string
	// restart is the reason why a new version needs a restart.
	restart string
}

// rotatedFiles returns the files besides the secrets in reloadedKeys.
func rotatedFiles() map[string]rotatedFile {
	ofPort := rotatedFile{elsewhere: "TestServe_renewsCertificates"}
	ofRedis := rotatedFile{elsewhere: "TestRedisTLS_rotatesUnderAConnectedClient"}
	ofAuthorization := rotatedFile{elsewhere: "TestServe_endsSubscriptionsNoLongerAllowed"}
	return map[string]rotatedFile{
		"tls.cert_file": ofPort, "tls.key_file": ofPort,
		"console.tls.cert_file": ofPort, "console.tls.key_file": ofPort,
		"redis.tls.ca_file": ofRedis, "redis.tls.cert_file": ofRedis, "redis.tls.key_file": ofRedis,
		"redis.password_file":          {rotate: rotatePasswordOfRedis},
		"redis.sentinel_password_file": {rotate: rotatePasswordOfSentinels},
		"auth.public_key_file":         {rotate: rotatePublicKey},
		"directory.file":               ofAuthorization,
		"policy.file":                  ofAuthorization,
		"events.catalog_file": {
			restart: "it is no secret, and the encoders of events are made from it at the start",
		},
	}
}

// TestFiles_rotateUnderConnectedClients rotates each file that a key names. A client is connected all the time.
func TestFiles_rotateUnderConnectedClients(t *testing.T) {
	files, secrets := rotatedFiles(), reloadedKeys()
	for _, key := range config.FileKeys() {
		file, known := files[key]
		delete(files, key)
		secret := strings.TrimSuffix(key, "_file")
		switch test := secrets[secret]; {
		case known && file.rotate != nil:
			t.Run(key, file.rotate)
		case known:
			if file.elsewhere == "" && file.restart == "" {
				t.Errorf("%s: the row is empty", key)
			}
		case test.inForce == nil:
			t.Errorf("%s: no test shows that a new version comes into force", key)
		default:
			t.Run(key, func(t *testing.T) { rotateSecret(t, secret, &test) })
		}
	}
	for key := range files {
		t.Errorf("%s: is no key of a file", key)
	}
}

// rotateSecret replaces the file of a secret, once by a faulty version.
func rotateSecret(t *testing.T, secret string, test *reloadedKey) {
	path := filepath.Join(t.TempDir(), "secret")
	first := "the first secret of at least thirty-two bytes"
	if before := test.from[secret]; before != "" {
		first = before
	} else if secret == "auth.hmac_secret" {
		first = rtetest.Secret
	}
	rtetest.MustReplaceFile(t, path, []byte(first+"\n"))
	from := map[string]string{}
	maps.Copy(from, test.from)
	if test.prepare != nil {
		test.prepare(t, from)
	}
	from[secret], from[secret+"_file"] = "", path
	r := startReloading(t, from)
	if test.inForce(r) {
		t.Fatal("the new secret seems to be in force before the rotation")
	}
	rtetest.MustReplaceFile(t, path, nil)
	r.logged("secrets refused, the old ones stay in force")
	if test.inForce(r) {
		t.Error("the new secret seems to be in force after an empty file")
	}
	rtetest.MustReplaceFile(t, path, []byte(test.to+"\n"))
	eventually(t, "the new secret", func() bool { return test.inForce(r) })
	r.checkClient()
}

// rotatePasswordOfRedis replaces the file, and takes the old password away.
func rotatePasswordOfRedis(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	admin := redis.Client()
	defer admin.Close()
	path := filepath.Join(t.TempDir(), "password")
	rtetest.MustReplaceFile(t, path, []byte("first"))
	do := func(args ...any) {
		t.Helper()
		if err := admin.Do(t.Context(), args...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	do("ACL", "SETUSER", "node", "on", ">first", "~*", "&*", "+@all")
	r := startReloading(t, map[string]string{
		"redis.addresses": redis.Addr, "redis.username": "node", "redis.password_file": path,
	})
	r.awaitBackplane()
	do("ACL", "SETUSER", "node", ">second")
	rtetest.MustReplaceFile(t, path, []byte("second"))
	r.logged("configuration reloaded")
	do("ACL", "SETUSER", "node", "<first")
	r.cutFromRedis(do, "USER", "node")
	r.checkClient()
}

// awaitBackplane waits until the server is connected to Redis.
func (p *running) awaitBackplane() {
	p.t.Helper()
	eventually(p.t, "a connection to Redis", func() bool {
		_, body := fetch(p.t, "GET", p.operators+"/readyz")
		return strings.Contains(body, `"state":"ready"`)
	})
}

// cutFromRedis ends the connections of the server to Redis that a filter of CLIENT KILL selects, and waits for others.
func (p *running) cutFromRedis(do func(...any), filter ...any) {
	p.t.Helper()
	connected := func() int { return strings.Count(p.output.text(), `"redis connected"`) }
	before := connected()
	do(append([]any{"CLIENT", "KILL"}, filter...)...)
	eventually(p.t, "other connections", func() bool { return connected() > before })
	p.awaitBackplane()
}

// rotatePasswordOfSentinels replaces the file, takes the old password away, and lets the master change: the server has
// to ask a Sentinel.
func rotatePasswordOfSentinels(t *testing.T) {
	sentinels := rtetest.MustStartSentinels(t, time.Second)
	path := filepath.Join(t.TempDir(), "password")
	rtetest.MustReplaceFile(t, path, []byte("first"))
	do := func(args ...any) {
		t.Helper()
		for _, address := range sentinels.Addrs {
			client := (&rtetest.Redis{Addr: address}).Client()
			err := client.Do(t.Context(), args...).Err()
			_ = client.Close()
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	do("ACL", "SETUSER", "node", "on", ">first", "~*", "&*", "+@all")
	r := startReloading(t, map[string]string{
		"redis.addresses": strings.Join(sentinels.Addrs, ","), "redis.sentinel_master": rtetest.SentinelMaster,
		"redis.sentinel_username": "node", "redis.sentinel_password_file": path,
	})
	r.awaitBackplane()
	do("ACL", "SETUSER", "node", ">second")
	rtetest.MustReplaceFile(t, path, []byte("second"))
	r.logged("configuration reloaded")
	do("ACL", "SETUSER", "node", "<first")
	do("CLIENT", "KILL", "TYPE", "pubsub")
	do("CLIENT", "KILL", "USER", "node")
	sentinels.Servers[0].Kill()
	eventually(t, "the next master", func() bool {
		if status, _ := r.post("/api/publish", eventLine(1)); status == http.StatusOK {
			_, body := fetch(t, "GET", r.operators+"/readyz")
			return strings.Contains(body, `"state":"ready"`)
		}
		return false
	})
	r.checkClient()
}

// rotatePublicKey adds the next key to the file, and then takes the first one away.
func rotatePublicKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.pem")
	var keys []ed25519.PrivateKey
	var texts [][]byte
	for range 2 {
		public, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		text, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, private)
		texts = append(texts, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: text}))
	}
	rtetest.MustReplaceFile(t, path, texts[0])
	r := startReloading(t, map[string]string{"auth.public_key_file": path})
	accepts := func(i int) bool {
		status, _ := r.negotiate(mustEdToken(t, keys[i]))
		return status == http.StatusOK
	}
	connected := r.connect(mustEdToken(t, keys[0]), "")
	for _, step := range []struct {
		text []byte
		want []bool
	}{
		{texts[0], []bool{true, false}},
		{slices.Concat(texts...), []bool{true, true}},
		{[]byte("no key"), []bool{true, true}},
		{texts[1], []bool{false, true}},
	} {
		rtetest.MustReplaceFile(t, path, step.text)
		if string(step.text) == "no key" {
			r.logged("watched file is refused, the last good version stays in force")
		}
		eventually(t, "the keys of the file", func() bool { return slices.Equal([]bool{accepts(0), accepts(1)}, step.want) })
	}
	connected.send(`{"type":1,"invocationId":"9","target":"AvailableSubscriptions","arguments":[]}`)
	connected.expect(`"invocationId":"9"`)
	r.checkClient()
}

// mustEdToken makes a token signed with a key.
func mustEdToken(t *testing.T, key ed25519.PrivateKey) string {
	t.Helper()
	payload := fmt.Sprintf(`{"sub":%q,"org":%q,"role":"agent","exp":%d}`,
		testUser, testOrganization, time.Now().Add(time.Hour).Unix())
	return rtetest.MustSign(t, key, `{"alg":"EdDSA","typ":"JWT"}`, payload)
}
