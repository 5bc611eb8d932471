package clients

import (
	"crypto/sha256"
	"encoding/base64"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// library is a client library, and how to run it.
type library struct {
	name    string // of its subtests
	command func(t *testing.T, s *stage) *exec.Cmd

	// What the error of a connection with a wrong token contains, when it negotiates and when it does not.
	refusedAtNegotiate, refusedAtUpgrade string

	reconnect reconnect
	// unordered says that the library hands over events in any order, whatever the order of their arrival.
	unordered bool
	// noTimes says that the library drops a MessagePack message with a time in it.
	noTimes bool
	// http2 says that the library also connects where the load balancer offers HTTP/2.
	http2 bool
}

// reconnect is whether and how a library reconnects by itself.
type reconnect int

const (
	// reconnectNever: the library leaves it to its user.
	reconnectNever reconnect = iota
	// reconnectOnce: it tries once, at once, and tells when it has succeeded.
	reconnectOnce
	// reconnectAgain: it tries again and again, and tells when it has succeeded.
	reconnectAgain
	// reconnectTold: it tells that the connection was lost, too.
	reconnectTold
)

// libraries are all clients of the script but those for .NET.
func libraries() []library {
	all := []library{}
	for _, major := range []string{"3", "5", "6", "7", "8", "9", "10"} {
		l := library{
			name: "node " + major, command: node("node.js", major), reconnect: reconnectTold,
			refusedAtNegotiate: "Unauthorized", refusedAtUpgrade: "WebSocket",
		}
		switch major {
		case "3", "5":
			l.refusedAtUpgrade = "There was an error with the transport."
		case "10":
			l.refusedAtNegotiate, l.refusedAtUpgrade = refusedAtNegotiate10, refusedAtUpgrade10
		}
		all = append(all, l)
	}
	return append(all,
		library{
			name: "chromium 10", command: chromium, reconnect: reconnectTold,
			refusedAtNegotiate: refusedAtNegotiate10, refusedAtUpgrade: refusedAtUpgrade10,
		},
		library{
			name: "java", command: java, reconnect: reconnectNever, noTimes: true,
			refusedAtNegotiate: "Unexpected status code returned from negotiate: 401 Unauthorized.",
			refusedAtUpgrade:   "There was an error starting the WebSocket transport.",
		},
		library{
			name: "python", command: python, reconnect: reconnectOnce,
			refusedAtNegotiate: "401", refusedAtUpgrade: "401 Unauthorized",
		},
		library{
			name: "go", command: goClient, reconnect: reconnectAgain, unordered: true,
			refusedAtNegotiate: "401 Unauthorized", refusedAtUpgrade: "but got 401",
		},
	)
}

// What the JavaScript client, version 10, says about a wrong token (section 1.2).
const (
	refusedAtNegotiate10 = "Failed to complete negotiation with the server: Error: Unauthorized: Status code '401'"
	refusedAtUpgrade10   = "WebSocket failed to connect. The connection could not be found on the server, either the endpoint may " +
		"not be a SignalR endpoint, the connection ID is not present on the server, or there is a proxy blocking WebSockets. " +
		"If you have multiple servers check that sticky sessions are enabled."
)

// node makes the command of a script of node/.
func node(script string, args ...string) func(*testing.T, *stage) *exec.Cmd {
	return func(t *testing.T, s *stage) *exec.Cmd {
		t.Helper()
		mustBeInstalled(t, "node/node_modules/signalr-10")
		program := rtetest.MustLookPath(t, "node", "make deps")
		return s.environment(exec.Command(program, append([]string{"node/" + script}, args...)...))
	}
}

// chromium makes the command of a page in a browser.
func chromium(t *testing.T, s *stage) *exec.Cmd {
	t.Helper()
	return chromiumAt(t, s, s.page.URL)
}

// chromiumAt is chromium for the page at a URL.
func chromiumAt(t *testing.T, s *stage, url string) *exec.Cmd {
	t.Helper()
	trusted := ""
	if s.certificate != nil {
		digest := sha256.Sum256(s.certificate.Server.RawSubjectPublicKeyInfo)
		trusted = base64.StdEncoding.EncodeToString(digest[:])
	}
	browser := rtetest.MustLookPath(t, "chromium", "make deps")
	return node("chromium.js", browser, url+"/page.html", trusted)(t, s)
}

// pageFiles are the page and what it asks for.
func pageFiles(t *testing.T) fs.FS {
	t.Helper()
	files := fstest.MapFS{}
	for name, path := range map[string]string{
		"page.html":                   "node/page.html",
		"adapter.js":                  "node/adapter.js",
		"signalr.js":                  "node/node_modules/signalr-10/dist/browser/signalr.js",
		"signalr-protocol-msgpack.js": "node/node_modules/signalr-10-msgpack/dist/browser/signalr-protocol-msgpack.js",
	} {
		mustBeInstalled(t, path)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: data}
	}
	return files
}

// java makes the command of Microsoft's Java client.
func java(t *testing.T, s *stage) *exec.Cmd {
	t.Helper()
	const dir = "../../build/java"
	mustBeInstalled(t, dir+"/clients.jar")
	program := rtetest.MustLookPath(t, "java", "make deps")
	args := []string{"-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"} // starts fast
	if s.certificate != nil {
		args = append(args, "-Djavax.net.ssl.trustStore="+mustMakeTrustStore(t, s.certificate), "-Djavax.net.ssl.trustStorePassword=changeit")
	}
	return s.environment(exec.Command(program, append(args, "-cp", dir+"/clients.jar:"+dir+"/lib/*", "Adapter")...))
}

// mustMakeTrustStore puts the authority of a certificate where Java looks for it.
func mustMakeTrustStore(t *testing.T, certificate *rtetest.Certificate) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "trust.p12")
	keytool := rtetest.MustLookPath(t, "keytool", "make deps")
	out, err := exec.Command(keytool, "-importcert", "-noprompt", "-alias", "authority", "-file", certificate.AuthorityFile,
		"-keystore", path, "-storetype", "PKCS12", "-storepass", "changeit").CombinedOutput()
	if err != nil {
		t.Fatalf("keytool: %v\n%s", err, out)
	}
	return path
}

// python makes the command of signalrcore.
func python(t *testing.T, s *stage) *exec.Cmd {
	t.Helper()
	const program = "../../build/python/bin/python"
	mustBeInstalled(t, program)
	return s.environment(exec.Command(program, "python/adapter.py"))
}

// goClient makes the command of philippseith/signalr: the test's own binary.
func goClient(t *testing.T, s *stage) *exec.Cmd {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := s.environment(exec.Command(path))
	cmd.Env = append(cmd.Env, asGoClient+"=1")
	return cmd
}

// environment makes a client trust the hub.
func (s *stage) environment(cmd *exec.Cmd) *exec.Cmd {
	cmd.Env = append(os.Environ(), "NODE_NO_WARNINGS=1")
	if s.certificate != nil {
		// What Node reads, and what OpenSSL, Go and .NET read.
		cmd.Env = append(cmd.Env, "NODE_EXTRA_CA_CERTS="+s.certificate.AuthorityFile, "SSL_CERT_FILE="+s.certificate.AuthorityFile)
	}
	return cmd
}

// mustBeInstalled fails the test when something is missing that "make deps" brings.
func mustBeInstalled(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%s is missing: make deps", path)
	}
}
