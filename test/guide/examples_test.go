package guide

import (
	"cmp"
	"encoding/json"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// mustCopy copies a folder of examples/ into a new one, as a reader does who takes it over.
func mustCopy(t *testing.T, name string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(repository, "examples", name))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// mustBeInstalled returns the absolute path of something that "make deps" makes.
func mustBeInstalled(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(repository, name))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("%v: make deps", err)
	}
	return path
}

// mustLinkModules gives a folder the node_modules of the helper.
func mustLinkModules(t *testing.T, dir string) {
	t.Helper()
	modules := filepath.Join(client.MustBuild(t), "node_modules")
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
}

// mustOutput runs a program in a folder.
func mustOutput(t *testing.T, dir, program string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
}

// clients returns the commands of the examples that print queues. They run in a copy of their folder.
func clients() map[string]func(t *testing.T, dir string) *exec.Cmd {
	return map[string]func(t *testing.T, dir string) *exec.Cmd{
		"node": func(t *testing.T, dir string) *exec.Cmd {
			mustLinkModules(t, dir)
			return exec.Command("node", "live.js")
		},
		"python": func(t *testing.T, _ string) *exec.Cmd {
			cmd := exec.Command(mustBeInstalled(t, "build/helper/bin/python"), "live.py")
			source := mustBeInstalled(t, "clients/python/src")
			cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1", "PYTHONPATH="+source)
			return cmd
		},
		"java": func(t *testing.T, dir string) *exec.Cmd {
			libraries := filepath.Join(mustBeInstalled(t, "build/java/lib"), "*")
			source := mustBeInstalled(t, "clients/java/src/main/java")
			mustOutput(t, dir, "javac", "-cp", libraries, "-sourcepath", source, "-d", "classes", "src/main/java/Live.java")
			return exec.Command("java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", "classes:"+libraries, "Live")
		},
		"go": func(t *testing.T, dir string) *exec.Cmd {
			mustOutput(t, dir, "go", "build", "-o", "live", ".")
			return exec.Command("./live")
		},
	}
}

// TestExamples_continueAfterARestart restarts the server below each client, one server for all.
func TestExamples_continueAfterARestart(t *testing.T) {
	d := startDevelopment(t)
	running := map[string]*lines{}
	for name, command := range clients() {
		dir := mustCopy(t, "clients/"+name)
		cmd := command(t, dir)
		cmd.Dir = dir
		cmd.Env = append(cmd.Environ(), "RTE_SERVER=http://"+d.listen)
		running[name] = mustStart(t, cmd)
	}
	for name, l := range running {
		t.Log(name)
		l.await("Billing: ", "Customer Service: ")
	}
	d.server.Stop()
	for name, l := range running {
		t.Log(name)
		l.await(cmp.Or(map[string]string{"java": "BEHIND"}[name], "behind"))
	}
	d.start()
	for name, l := range running {
		t.Log(name)
		l.await("Billing: ", "Customer Service: ")
	}
}

// TestExamples_pagesContinueAfterARestart opens the pages in a browser, and restarts the server below them.
func TestExamples_pagesContinueAfterARestart(t *testing.T) {
	d := startDevelopment(t)
	browser := rtetest.MustLookPath(t, "chromium", "apt-get install chromium")
	playwright := mustBeInstalled(t, "test/e2e/node_modules/playwright-core/index.js")
	urls := []string{playwright, browser}
	for _, name := range []string{"browser", "react"} {
		dir := mustCopy(t, "clients/"+name)
		mustLinkModules(t, dir)
		if name == "react" {
			mustOutput(t, dir, "npm", "run", "build")
			mustOutput(t, dir, "cp", filepath.Join(mustCopy(t, "clients/browser"), "serve.mjs"), ".")
		}
		serve := exec.Command("node", "serve.mjs", "0")
		serve.Dir = dir
		serve.Env = append(os.Environ(), "RTE_SERVER=http://"+d.listen,
			"RTE_CLIENT="+filepath.Join(dir, "node_modules/@rte-server/client/dist/browser.js"))
		urls = append(urls, mustStart(t, serve).await("http://"))
	}
	pages := mustStart(t, exec.Command("node", append([]string{"node/pages.mjs"}, urls...)...))
	await := func(state string) {
		t.Helper()
		for range urls[2:] {
			pages.await("is " + state)
		}
	}
	await("right with 4 queues")
	d.server.Stop()
	await("behind")
	d.start()
	await("right with 4 queues")
}

// TestExamples_curlPublishes publishes over HTTP, and receives the event as a client does.
func TestExamples_curlPublishes(t *testing.T) {
	d := startDevelopment(t, "--rate=0.001")
	var access struct{ Token string }
	d.get("/token/me/rte/", &access)
	tap := exec.Command(programs.MustBuild(t), "tap", "--url=http://"+d.listen+"/rte", "--token="+access.Token,
		"--features=snapshot", "0d000000-0000-4000-8000-000000000102:UserStatus")
	received := mustStart(t, tap)
	received.await(`"eventType":"UserStatus"`) // the last state: it is subscribed
	dir := mustCopy(t, "publishers/curl")
	cmd := exec.CommandContext(t.Context(), "bash", "publish.sh")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CONSOLE_URL=http://"+d.operators)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), `"published":1,"refused":0`) {
		t.Fatalf("%v: %s", err, out)
	}
	if line := received.await(`"talking":true`); !strings.Contains(line, `"activeQueues":2`) {
		t.Errorf("received %s", line)
	}
}

// get decodes the answer of the server.
func (d *development) get(path string, into any) {
	d.t.Helper()
	web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := web.Get("http://" + d.listen + path)
	if err != nil {
		d.t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		d.t.Fatal(err)
	}
}

// TestExamples_areComplete checks that each example has a short README, and that examples/README.md links to it.
func TestExamples_areComplete(t *testing.T) {
	index := mustRead(t, "examples/README.md")
	for _, kind := range []string{"clients", "publishers"} {
		all, err := fs.ReadDir(os.DirFS(filepath.Join(repository, "examples", kind)), ".")
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range all {
			name := kind + "/" + entry.Name()
			if text := mustRead(t, "examples/"+name+"/README.md"); strings.Count(text, "\n") > 12 {
				t.Errorf("the README of %s is long", name)
			}
			if !strings.Contains(index, "("+name+"/README.md)") {
				t.Errorf("examples/README.md does not link to %s", name)
			}
		}
	}
}

// TestExamples_versions checks that the projects name the versions that these tests use.
func TestExamples_versions(t *testing.T) {
	var lock struct {
		Packages map[string]struct{ Version string }
	}
	if err := json.Unmarshal([]byte(mustRead(t, "clients/typescript/package-lock.json")), &lock); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"clients/node", "clients/react"} {
		var project struct{ Dependencies, DevDependencies map[string]string }
		if err := json.Unmarshal([]byte(mustRead(t, "examples/"+name+"/package.json")), &project); err != nil {
			t.Fatal(err)
		}
		for _, all := range []map[string]string{project.Dependencies, project.DevDependencies} {
			for module, version := range all {
				tested := lock.Packages["node_modules/"+module].Version
				if version != tested && !strings.HasPrefix(version, "file:") {
					t.Errorf("%s names %s %s, the tests use %s", name, module, version, tested)
				}
			}
		}
	}
	for _, name := range []string{"examples/clients/java/pom.xml", "examples/publishers/java/pom.xml"} {
		if !strings.Contains(mustRead(t, name), "<artifactId>maven-compiler-plugin</artifactId>") {
			t.Errorf("%s does not compile with the compiler plugin that Maven 3.8 has by default", name)
		}
	}
	helper := regexp.MustCompile(`<artifactId>rte-server-client</artifactId>\s*<version>(.*)</version>`)
	versions := map[string]string{}
	for _, name := range []string{"clients/java/pom.xml", "examples/clients/java/pom.xml"} {
		if found := helper.FindStringSubmatch(mustRead(t, name)); found != nil {
			versions[found[1]] = name
		}
	}
	if len(versions) != 1 {
		t.Errorf("the helper for Java and its example have the versions %v", versions)
	}
}
