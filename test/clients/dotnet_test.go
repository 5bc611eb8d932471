package clients

import (
	"encoding/xml"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// dotnetLibraries returns the releases of Microsoft's .NET client that dotnet/versions.proj names. Without a dotnet on
// the PATH it returns none.
func dotnetLibraries(t *testing.T) (all []library) {
	t.Helper()
	program := rtetest.FindDotnet(t, "the script with the .NET clients")
	if program == "" {
		return nil
	}
	for _, version := range dotnetVersions(t) {
		l := library{
			name: "dotnet " + version, command: dotnet(program, version), reconnect: reconnectReported, http2: true,
			transports:         []string{serverSentEvents, longPolling},
			refusedAtNegotiate: "401", refusedAtUpgrade: "401",
		}
		if strings.HasPrefix(version, "1.") {
			l.reconnect = reconnectNever
		}
		all = append(all, l)
	}
	return all
}

// dotnetVersions reads the versions in dotnet/versions.proj.
func dotnetVersions(t *testing.T) (versions []string) {
	t.Helper()
	data, err := os.ReadFile("dotnet/versions.proj")
	if err != nil {
		t.Fatal(err)
	}
	var project struct {
		Clients []struct {
			Version string `xml:"Include,attr"`
		} `xml:"ItemGroup>Client"`
	}
	if err := xml.Unmarshal(data, &project); err != nil {
		t.Fatal(err)
	}
	for _, c := range project.Clients {
		versions = append(versions, c.Version)
	}
	return versions
}

// dotnet makes the command of a release of Microsoft's .NET client.
func dotnet(program, version string) func(*testing.T, *stage) *exec.Cmd {
	return func(t *testing.T, s *stage) *exec.Cmd {
		t.Helper()
		adapter := "../../build/dotnet/RteClient/" + version + "/RteClient.dll"
		mustBeInstalled(t, adapter)
		return s.environment(exec.Command(program, adapter))
	}
}
