package dotnet

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// TestPage_HasOnlySamplesThatRun compares the samples of docs/dotnet.md with the sources that the other tests run.
func TestPage_HasOnlySamplesThatRun(t *testing.T) {
	var sources []string
	for _, dir := range []string{"clients/dotnet/samples", "clients/dotnet/tests"} {
		err := filepath.WalkDir(filepath.Join(repository, dir), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".cs" {
				return err
			}
			text, err := os.ReadFile(path)
			sources = append(sources, unindented(string(text)))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	page, err := os.ReadFile(filepath.Join(repository, "docs/dotnet.md"))
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(sources, "\n")
	samples := regexp.MustCompile("(?s)```csharp\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(samples) < 6 {
		t.Errorf("the page has %d samples", len(samples))
	}
	for _, sample := range samples {
		if text := unindented(sample[1]); !strings.Contains(all, text) {
			t.Errorf("no test runs this sample of docs/dotnet.md:\n%s", text)
		}
	}
}

// unindented returns a text without empty lines and without what its lines begin with.
func unindented(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// TestPage_SamplesShowTheQueues runs the programs of docs/dotnet.md below a development server.
func TestPage_SamplesShowTheQueues(t *testing.T) {
	dotnet := mustFindDotnet(t, "Live")
	if dotnet == "" {
		return
	}
	path := programs.MustBuild(t, repository+"/clients/dotnet")
	server := rtetest.MustStartProgram(t, exec.Command(path,
		"dev", "--listen=127.0.0.1:0", "--console.listen=127.0.0.1:0", "--rate=0.001", "--log.level=error"))
	url := regexp.MustCompile(`wallboard +(http://\S+)`)
	server.WaitFor("the server to print its URL", func() bool { return url.MatchString(server.Log()) })
	address := url.FindStringSubmatch(server.Log())[1]
	for _, sample := range []string{"Live", "Plain"} {
		t.Run(sample, func(t *testing.T) {
			cmd := exec.Command(dotnet, repository+"/build/dotnet/"+sample+"/bin/Release/net10.0/"+sample+".dll", address)
			wanted := []string{"Customer Service: ", "Technical Support: ", "Sales: ", "Billing: "}
			if sample == "Live" {
				wanted = append(wanted, "right")
			}
			next := rtetest.MustStartLines(t, cmd)
			for found := map[string]bool{}; len(found) < len(wanted); {
				line := next.Next()
				for _, text := range wanted {
					if strings.HasPrefix(line, text) {
						found[text] = true
					}
				}
			}
		})
	}
}
