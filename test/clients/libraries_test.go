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

// library is a client library with the commands that run it.
type library struct {
	name    string // of its subtests
	command func(t *testing.T, s *stage) *exec.Cmd

	// The error for a wrong token contains these texts, with and without negotiation.
	refusedAtNegotiate, refusedAtUpgrade string

	reconnect reconnect
	// unordered reports whether the library delivers events in any order, regardless of the order of arrival.
	unordered bool
	// noTimes reports whether the library drops a MessagePack message that contains a time.
	noTimes bool
	// transports are the transports of the library beside WebSockets.
	transports []string
	// endOfStream is the error that the library reports at the end of an event stream, although a Close message precedes
	// it.
	endOfStream string
	// http2 reports whether the library also connects if the load balancer offers HTTP/2.
	http2 bool
}

// reconnect is the way in which a library reconnects automatically.
type reconnect int

const (
	// reconnectNever: never.
	reconnectNever reconnect = iota
	// reconnectOnce: one attempt at once. It reports success.
	reconnectOnce
	// reconnectAgain: repeated attempts. It reports success.
	reconnectAgain
	// reconnectReported: repeated attempts. It also reports the loss of the connection.
	reconnectReported
)

// libraries returns all clients of the script except those for .NET.
func libraries() []library {
	all, both := []library{}, []string{serverSentEvents, longPolling}
	for _, major := range []string{"3", "5", "6", "7", "8", "9", "10"} {
		l := library{
			name: "node " + major, command: node("node.js", major), reconnect: reconnectReported, transports: both,
			refusedAtNegotiate: "Unauthorized", refusedAtUpgrade: "WebSocket",
		}
		switch major {
		case "3", "5":
			l.refusedAtUpgrade, l.endOfStream = "There was an error with the transport.", "Error occurred"
		case "10":
			l.refusedAtNegotiate, l.refusedAtUpgrade = refusedAtNegotiate10, refusedAtUpgrade10
		}
		all = append(all, l)
	}
	return append(all,
		library{
			name: "chromium 10", command: chromium, reconnect: reconnectReported, transports: both,
			refusedAtNegotiate: refusedAtNegotiate10, refusedAtUpgrade: refusedAtUpgrade10,
		},
		library{
			name: "java", command: java, reconnect: reconnectNever, noTimes: true, transports: []string{longPolling},
			refusedAtNegotiate: "Unexpected status code returned from negotiate: 401 Unauthorized.",
			refusedAtUpgrade:   "There was an error starting the WebSocket transport.",
		},
		library{
			name: "python", command: python, reconnect: reconnectOnce, transports: []string{serverSentEvents},
			refusedAtNegotiate: "401", refusedAtUpgrade: "401 Unauthorized",
		},
		library{
			name: "go", command: goClient, reconnect: reconnectAgain, unordered: true,
			refusedAtNegotiate: "401 Unauthorized", refusedAtUpgrade: "but got 401",
		},
	)
}

// The error of the JavaScript client, version 10, for a wrong token (section 1.2).
const (
	refusedAtNegotiate10 = "Failed to complete negotiation with the server: Error: Unauthorized: Status code '401'"
	refusedAtUpgrade10   = "WebSocket failed to connect. The connection could not be found on the server, either the " +
		"endpoint may not be a SignalR endpoint, the connection ID is not present on the server, or there is a proxy " +
		"blocking WebSockets. " +
		"If you have multiple servers check that sticky sessions are enabled."
)

// node returns the command of a script in node/.
func node(script string, args ...string) func(*testing.T, *stage) *exec.Cmd {
	return func(t *testing.T, s *stage) *exec.Cmd {
		t.Helper()
		mustBeInstalled(t, "node/node_modules/signalr-10")
		program := rtetest.MustLookPath(t, "node", "make deps")
		return s.environment(exec.Command(program, append([]string{"node/" + script}, args...)...))
	}
}

// chromium returns the command that opens the page in a browser.
func chromium(t *testing.T, s *stage) *exec.Cmd {
	t.Helper()
	return chromiumAt(t, s, s.page.URL)
}

// chromiumAt is chromium for a page at another URL.
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

// pageFiles serves the page and its files.
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

// java returns the command of Microsoft's Java client.
func java(t *testing.T, s *stage) *exec.Cmd {
	t.Helper()
	const dir = "../../build/java"
	mustBeInstalled(t, dir+"/clients.jar")
	program := rtetest.MustLookPath(t, "java", "make deps")
	args := []string{"-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"} // for a fast start
	if s.certificate != nil {
		args = append(
			args, "-Djavax.net.ssl.trustStore="+mustMakeTrustStore(t, s.certificate),
			"-Djavax.net.ssl.trustStorePassword=changeit",
		)
	}
	return s.environment(exec.Command(program, append(args, "-cp", dir+"/clients.jar:"+dir+"/lib/*", "Adapter")...))
}

// mustMakeTrustStore writes the authority of a certificate to a trust store for Java.
func mustMakeTrustStore(t *testing.T, certificate *rtetest.Certificate) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "trust.p12")
	keytool := rtetest.MustLookPath(t, "keytool", "make deps")
	out, err := exec.Command(keytool, "-importcert", "-noprompt", "-alias", "authority", "-file",
		certificate.AuthorityFile,
		"-keystore", path, "-storetype", "PKCS12", "-storepass", "changeit").CombinedOutput()
	if err != nil {
		t.Fatalf("keytool: %v\n%s", err, out)
	}
	return path
}

// python returns the command of signalrcore.
func python(t *testing.T, s *stage) *exec.Cmd {
	t.Helper()
	const program = "../../build/python/bin/python"
	mustBeInstalled(t, program)
	return s.environment(exec.Command(program, "python/adapter.py"))
}

// goClient returns the command of philippseith/signalr, which is the test's own binary.
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

// environment returns an environment in which a client trusts the hub.
func (s *stage) environment(cmd *exec.Cmd) *exec.Cmd {
	cmd.Env = append(os.Environ(), "NODE_NO_WARNINGS=1")
	if s.certificate != nil {
		// Node reads the first variable; OpenSSL, Go and .NET read the second.
		cmd.Env = append(
			cmd.Env, "NODE_EXTRA_CA_CERTS="+s.certificate.AuthorityFile, "SSL_CERT_FILE="+s.certificate.AuthorityFile,
		)
	}
	return cmd
}

// mustBeInstalled fails the test if a file that "make deps" installs is missing.
func mustBeInstalled(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%s is missing: make deps", path)
	}
}
