package rtetest

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// WebServer is nginx or Caddy as a load balancer in front of nodes, with TLS and without sticky sessions.
type WebServer struct {
	// Addr is the address for clients, as host:port.
	Addr string
	// HubURL is the URL of the hub.
	HubURL string
	// Certificate is its certificate.
	Certificate *Certificate

	t      testing.TB
	cmd    *exec.Cmd
	reload func() error
}

// Reload makes the server read its configuration and its certificate again.
func (w *WebServer) Reload() {
	w.t.Helper()
	if err := w.reload(); err != nil {
		w.t.Fatalf("reload %s: %v", filepath.Base(w.cmd.Path), err)
	}
}

// WaitForWorkers waits until nginx has a number of workers.
func (w *WebServer) WaitForWorkers(number int) {
	w.t.Helper()
	waitForChildren(w.t, w.cmd.Process.Pid, number)
}

// WaitForOldWorker waits until a worker of nginx accepts no more connections. After a reload nginx starts the new one
// first, and for a moment both accept.
func (w *WebServer) WaitForOldWorker() {
	w.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(Patience); !w.hasOldWorker(); <-tick.C {
		if time.Now().After(deadline) {
			w.t.Fatal("all workers of nginx accept connections")
		}
	}
}

// hasOldWorker reports whether a worker shows in its title that it shuts down.
func (w *WebServer) hasOldWorker() bool {
	w.t.Helper()
	return slices.ContainsFunc(childrenOf(w.t, w.cmd.Process.Pid), func(pid string) bool {
		title, err := os.ReadFile(filepath.Join("/proc", pid, "cmdline"))
		return err == nil && strings.Contains(string(title), "is shutting down") // an error: it has ended
	})
}

// MustStartNginx starts nginx with deploy/nginx.conf, in which it changes only addresses, files and the number of
// connections. The end of the test stops it and checks that its log contains no token.
func MustStartNginx(t testing.TB, nodes ...*Server) *WebServer {
	t.Helper()
	program := MustLookPath(t, "nginx", "apt-get install nginx")
	addr, certificate, dir := MustFreeAddr(t), MustMakeCertificate(t), t.TempDir()
	servers := strings.Builder{}
	for _, node := range nodes {
		fmt.Fprintf(&servers, "        server %s max_fails=2 fail_timeout=5s;\n", node.Host)
	}
	file := mustChange(t, "nginx.conf", [][2]string{
		{
			"worker_processes auto;\nworker_rlimit_nofile 120000;\n", "worker_processes 1;\n",
		},
		{"pid /run/nginx.pid;", "pid " + dir + "/pid;"},
		{"worker_connections 60000", "worker_connections 1000"},
		{"http {\n", "http {\n    client_body_temp_path " + dir + ";\n    proxy_temp_path " + dir + ";\n" +
			"    fastcgi_temp_path " + dir + ";\n    uwsgi_temp_path " + dir + ";\n    scgi_temp_path " + dir + ";\n"},
		{"listen 8443 ssl", "listen " + addr + " ssl"},
		{"/etc/nginx/certs/rte.pem", certificate.ServerFile},
		{"/etc/nginx/certs/rte.pem", certificate.ServerFile},
		{
			"        server rte-1:8080 max_fails=2 fail_timeout=5s;\n        server rte-2:8080 max_fails=2 fail_timeout=5s;\n",
			servers.String(),
		},
	})
	w := mustServe(t, addr, certificate, exec.Command(program, "-p", dir, "-c", file, "-g", "daemon off;"))
	w.reload = func() error { return w.cmd.Process.Signal(syscall.SIGHUP) }
	return w
}

// MustStartCaddy starts Caddy with deploy/Caddyfile, as MustStartNginx starts nginx. The file has one operator port for
// all nodes, and these nodes share an address: Caddy sends all its probes to the last node.
func MustStartCaddy(t testing.TB, nodes ...*Server) *WebServer {
	t.Helper()
	program := MustLookPath(t, "caddy", "apt-get install caddy")
	addr, admin, certificate := MustFreeAddr(t), MustFreeAddr(t), MustMakeCertificate(t)
	hosts := make([]string, len(nodes))
	port := ""
	for i, node := range nodes {
		hosts[i] = node.Host
		_, port, _ = strings.Cut(strings.TrimPrefix(node.ConsoleURL, "http://"), ":")
	}
	file := mustChange(t, "Caddyfile", [][2]string{
		{"admin localhost:2019", "admin " + admin},
		{"https://rte.example.com:8443", "https://" + addr},
		{"/etc/caddy/certs/rte.pem /etc/caddy/certs/rte.pem", certificate.ServerFile + " " + certificate.ServerFile},
		{"rte-1:8080 rte-2:8080", strings.Join(hosts, " ")},
		{"health_port 9090", "health_port " + port},
		{"health_interval 1s", "health_interval 200ms"},
	})
	cmd := exec.Command(program, "run", "--config", file, "--adapter", "caddyfile")
	cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+t.TempDir(), "XDG_CONFIG_HOME="+t.TempDir())
	w := mustServe(t, addr, certificate, cmd)
	w.reload = func() error { // Caddy ignores an unchanged file otherwise
		again := exec.Command(program, "reload", "--force", "--address", admin, "--config", file, "--adapter", "caddyfile")
		again.Env = cmd.Env
		if out, err := again.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
	return w
}

// mustChange returns the path of a copy of a file of deploy/ with the changes, each of which it makes once.
func mustChange(t testing.TB, name string, changes [][2]string) string {
	t.Helper()
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(root, "deploy", name))
	if err != nil {
		t.Fatal(err)
	}
	text := string(content)
	for _, change := range changes {
		if !strings.Contains(text, change[0]) {
			t.Fatalf("deploy/%s has no %q", name, change[0])
		}
		text = strings.Replace(text, change[0], change[1], 1)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// mustServe starts a web server and waits until a node answers through it.
func mustServe(t testing.TB, addr string, certificate *Certificate, cmd *exec.Cmd) *WebServer {
	t.Helper()
	log := &recorder{}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt) // if it fails, the process has ended
		ended := time.AfterFunc(Patience, func() { _ = cmd.Process.Kill() })
		defer ended.Stop()
		_ = cmd.Wait() // ended by the signal
		if hasToken(log.text()) {
			t.Error("the load balancer's log contains a token")
		}
		if t.Failed() {
			t.Logf("log of %s:\n%s", filepath.Base(cmd.Path), log.text())
		}
	})
	w := &WebServer{Addr: addr, HubURL: "https://" + addr + "/rte", Certificate: certificate, t: t, cmd: cmd}
	client := &http.Client{Timeout: Patience, Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: certificate.Pool(t)},
	}}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(Patience); ; <-tick.C {
		response, err := client.Post(w.HubURL+"/negotiate", "", http.NoBody)
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusUnauthorized {
				return w
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not serve: %v\n%s", filepath.Base(cmd.Path), err, log.text())
		}
	}
}
