package guide

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const page = "docs/client-guide.md"

// TestGuide_methodsAnswerAsPrinted runs the program with the five methods, and compares each line with the page.
func TestGuide_methodsAnswerAsPrinted(t *testing.T) {
	t.Parallel()
	d := startDevelopment(t, "--rate=0.001")
	dir := mustFolder(t)
	program := mustWrite(t, dir, "methods.mjs", d.here(blocksIn(t, page, "js")[0]))
	cmd := exec.CommandContext(t.Context(), "node", program)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ids := regexp.MustCompile(`"id": "[0-9a-f-]{36}"`)
	var printed []string
	for line := range strings.Lines(string(out)) {
		if !strings.Contains(line, "Information:") { // of Microsoft's client
			printed = append(printed, ids.ReplaceAllString(line, `"id": any`))
		}
	}
	want := ids.ReplaceAllString(strings.Join(blocksIn(t, page, "text"), ""), `"id": any`)
	if diff := cmp.Diff(want, strings.Join(printed, "")); diff != "" {
		t.Errorf("the program (-page +printed):\n%s", diff)
	}
}

// TestGuide_clientContinuesAfterARestart restarts the server below the whole client of the page.
func TestGuide_clientContinuesAfterARestart(t *testing.T) {
	t.Parallel()
	d := startDevelopment(t)
	program := mustWrite(t, mustFolder(t), "live.mjs", d.here(blocksIn(t, page, "js")[1]))
	client := mustStart(t, exec.Command("node", program))
	client.await("wait", "subscribed")
	d.server.Stop()
	client.await("may be old")
	d.start()
	client.await("wait", "subscribed")
}

// TestPages_commandsRun runs all commands of the pages, and compares the answer that the guide prints.
func TestPages_commandsRun(t *testing.T) {
	t.Parallel()
	d := startDevelopment(t)
	bin := t.TempDir()
	path := programs.MustBuild(t)
	if err := os.Symlink(path, filepath.Join(bin, "rte-server")); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, name := range []string{page, "docs/faq.md"} {
		all := blocksOf(t, name)
		token := ""
		for i, b := range all {
			if b.language != "sh" {
				continue
			}
			ran++
			cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", d.here(b.text))
			cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), token)
			out, err := cmd.CombinedOutput()
			refused := strings.Contains(b.text, "rte-server explain") && cmd.ProcessState.ExitCode() == 1
			if err != nil && !refused || len(out) == 0 {
				t.Errorf("%s: %s: %v\n%s", name, b.text, err, out)
			}
			if i+1 < len(all) && all[i+1].language == "json" {
				got := regexp.MustCompile(`eyJhbGciOi[^"]*`).ReplaceAllString(string(out), "eyJhbGciOi...")
				if want := d.here(all[i+1].text); got != want {
					t.Errorf("%s printed %s, the page has %s", b.text, got, want)
				}
			}
		}
	}
	if ran < 3 {
		t.Errorf("the pages have %d commands", ran)
	}
}

// TestGettingStarted_printsWhatThePageShows runs the commands of the page one after the other in one shell, as a reader
// does, and compares their output.
func TestGettingStarted_printsWhatThePageShows(t *testing.T) {
	t.Parallel()
	d := startDevelopment(t)
	bin := t.TempDir()
	if err := os.Symlink(programs.MustBuild(t), filepath.Join(bin, "rte-server")); err != nil {
		t.Fatal(err)
	}
	var script, want strings.Builder
	commands := 0
	for _, b := range blocksOf(t, "docs/getting-started.md") {
		switch b.language {
		case "sh":
			commands++
			fmt.Fprintf(&script, "echo '# command %d'\n%s\n", commands, b.text)
			fmt.Fprintf(&want, "# command %d\n", commands)
		case "text":
			want.WriteString(b.text)
		}
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", d.here(script.String()))
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	got := regexp.MustCompile(`(?m)^node \S+$`).ReplaceAllString(string(out), "node NAME")
	got = regexp.MustCompile(`\d\d:\d\d:\d\d\.\d{3} `).ReplaceAllString(got, "TIME ")
	got = regexp.MustCompile(`\n+`).ReplaceAllString(got, "\n")
	if diff := cmp.Diff(want.String(), got); diff != "" {
		t.Errorf("the commands (-page +printed):\n%s", diff)
	}
	if commands < 4 {
		t.Errorf("the page has %d commands", commands)
	}
}

// TestExtensionOfTheOriginal plays node/extension.mjs behind a load balancer with TLS.
func TestExtensionOfTheOriginal(t *testing.T) {
	t.Parallel()
	d := startDevelopment(t, "--rate=0.001")
	target, err := url.Parse("http://" + d.listen)
	if err != nil {
		t.Fatal(err)
	}
	balancer := httptest.NewTLSServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.SetXForwarded()
		r.Out.Host = r.In.Host
	}})
	t.Cleanup(balancer.Close)
	text := mustRead(t, "test/guide/node/extension.mjs")
	cmd := exec.Command("node", mustWrite(t, mustFolder(t), "extension.mjs", text), balancer.URL)
	cmd.Env = append(os.Environ(), "NODE_TLS_REJECT_UNAUTHORIZED=0", "NODE_NO_WARNINGS=1")
	extension := mustStart(t, cmd)
	for _, want := range []string{
		"available 31", "useravailability true null", "userstatus true null", "usercallincoming true null",
		"usercallconnected false Unknown event", "userpresence false Unknown event",
		"usercalldisconnected false Unknown event",
	} {
		if line := extension.next(); line != want {
			t.Errorf("the extension printed %q, want %q", line, want)
		}
	}
	user := strings.TrimPrefix(extension.await("user "), "user ")
	d.publish(fmt.Sprintf(`{"Id":"267b246b-bc69-47fe-92ba-89179785a574","RootEntityType":"Organization",
		"RootEntityId":%[1]q,"OrganizationId":%[1]q,"EventType":"UserAvailability","EntityType":"User","EntityId":%[2]q,
		"UserId":%[2]q,"UserName":"a","ProfileId":%[1]q,"Availability":"Busy","StartTime":"2026-01-01T12:00:00",
		"EndTime":"2026-01-01T14:00:00","Note":"Back at two.","EventSource":null,"TransferNumber":null,
		"Timestamp":%[3]q,"MessageTTLSeconds":-1}`,
		"0d000000-0000-4000-8000-000000000001", user, time.Now().UTC().Format(time.RFC3339)))
	if line := extension.next(); line != "until 2026-01-01T14:00:00.000Z" {
		t.Errorf("the extension printed %q", line)
	}
}

// publish publishes an event over HTTP.
func (d *development) publish(event string) {
	d.t.Helper()
	body := strings.NewReader(strings.ReplaceAll(event, "\n", ""))
	request, err := http.NewRequestWithContext(
		d.t.Context(), http.MethodPost, "http://"+d.operators+"/api/publish", body,
	)
	if err != nil {
		d.t.Fatal(err)
	}
	web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := web.Do(request)
	if err != nil {
		d.t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		d.t.Fatalf("publish: %s", response.Status)
	}
}

// TestLinks checks that each relative link of each page names a file, and each anchor a heading.
func TestLinks(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "git", "-C", repository, "ls-files", "-co", "--exclude-standard", "*.md").
		Output()
	if err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`\]\(([^)\s#:]*)(#[^)\s]*)?\)`)
	for name := range strings.Lines(string(out)) {
		name = strings.TrimSpace(name)
		if strings.HasPrefix(name, "internal/events/generate/") {
			continue // parts of docs/events.md
		}
		text := regexp.MustCompile("(?s)```.*?```|`[^`\n]*`").ReplaceAllString(mustRead(t, name), "")
		for _, found := range link.FindAllStringSubmatch(text, -1) {
			target := filepath.Join(filepath.Dir(name), found[1])
			if found[1] == "" {
				target = name
			}
			if _, err := os.Stat(filepath.Join(repository, target)); err != nil {
				t.Errorf("%s links to %s, which does not exist", name, found[1])
				continue
			}
			if found[2] != "" && strings.HasSuffix(target, ".md") && !hasAnchor(mustRead(t, target), found[2][1:]) {
				t.Errorf("%s links to %s%s, which is no heading", name, found[1], found[2])
			}
		}
	}
}

// hasAnchor reports whether a page has a heading with an anchor as GitHub makes it.
func hasAnchor(text, anchor string) bool {
	for line := range strings.Lines(text) {
		title, isHeading := strings.CutPrefix(strings.TrimLeft(line, "#"), " ")
		if !isHeading || !strings.HasPrefix(line, "#") {
			continue
		}
		made := regexp.MustCompile(`[^\p{L}\p{N}\- _]`).ReplaceAllString(strings.ToLower(strings.TrimSpace(title)), "")
		if strings.ReplaceAll(made, " ", "-") == anchor {
			return true
		}
	}
	return false
}
