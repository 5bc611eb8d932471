package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// client is a row in the table of clients.
type client struct {
	subtest string // in the tests of test/clients
	title   string // the library with its version and runtime
}

// allClients returns the clients of test/clients with their pinned versions.
func allClients(root fs.FS) ([]client, error) {
	packages, err := npmVersions(root, path.Join(clients, "node", "package.json"))
	if err != nil {
		return nil, err
	}
	var found []client
	for _, major := range []string{"10", "9", "8", "7", "6", "5", "3"} {
		library := fmt.Sprintf("`@microsoft/signalr` %s, `signalr-protocol-msgpack` %s",
			packages["signalr-"+major], packages["signalr-"+major+"-msgpack"])
		found = append(found, client{"node_" + major, library + ", in Node"})
		if major == "10" {
			found = append(found, client{"chromium_10", library + ", in Chromium on a page of another origin"})
		}
	}
	dotnet, err := dotnetClients(root, path.Join(clients, "dotnet", "versions.proj"))
	if err != nil {
		return nil, err
	}
	found = append(found, dotnet...)
	java, err := javaVersion(root, path.Join(clients, "java", "pom.xml"))
	if err != nil {
		return nil, err
	}
	python, err := lineVersion(root, path.Join(clients, "python", "requirements.txt"), `(?m)^signalrcore==(\S+)$`)
	if err != nil {
		return nil, err
	}
	library, err := lineVersion(root, "go.mod", `philippseith/signalr v(\S+)`)
	if err != nil {
		return nil, err
	}
	return append(found,
		client{"java", "`com.microsoft.signalr` " + java + ", in Java"},
		client{"python", "`signalrcore` " + python + ", in Python"},
		client{"go", "`philippseith/signalr` " + library + ", in Go"},
	), nil
}

// dotnetClients returns a client for each version that the project of the .NET clients builds, the newest first.
func dotnetClients(root fs.FS, name string) ([]client, error) {
	data, err := fs.ReadFile(root, name)
	if err != nil {
		return nil, err
	}
	var project struct {
		Clients []struct {
			Version string `xml:"Include,attr"`
		} `xml:"ItemGroup>Client"`
	}
	if err := xml.Unmarshal(data, &project); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	var found []client
	for _, c := range slices.Backward(project.Clients) {
		title := "`Microsoft.AspNetCore.SignalR.Client` " + c.Version + ", in .NET"
		found = append(found, client{"dotnet_" + c.Version, title})
	}
	return found, nil
}

// npmVersions returns the versions of aliases such as "npm:@microsoft/signalr@10.0.11".
func npmVersions(root fs.FS, name string) (map[string]string, error) {
	data, err := fs.ReadFile(root, name)
	if err != nil {
		return nil, err
	}
	var file struct{ Dependencies map[string]string }
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	for alias, version := range file.Dependencies {
		file.Dependencies[alias] = version[strings.LastIndexByte(version, '@')+1:]
	}
	return file.Dependencies, nil
}

// javaVersion returns the version in the project of the Java client.
func javaVersion(root fs.FS, name string) (string, error) {
	data, err := fs.ReadFile(root, name)
	if err != nil {
		return "", err
	}
	var project struct {
		Version string `xml:"properties>signalr.version"`
	}
	if err := xml.Unmarshal(data, &project); err != nil {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	return project.Version, nil
}

// lineVersion returns the first group of a pattern in a file.
func lineVersion(root fs.FS, name, pattern string) (string, error) {
	data, err := fs.ReadFile(root, name)
	if err != nil {
		return "", err
	}
	found := regexp.MustCompile(pattern).FindSubmatch(data)
	if found == nil {
		return "", fmt.Errorf("read %s: %w", name, errNoVersion)
	}
	return string(found[1]), nil
}

// errNoVersion reports that a file does not name the version of a client.
var errNoVersion = errors.New("no version of the client")

// column is a column in the table of clients. It counts a part of the script.
type column struct {
	title  string
	wanted func(subtest string) bool
}

// columns are the columns after the name of the client.
func columns() []column {
	step := func(name string) func(string) bool {
		return func(subtest string) bool { return strings.HasSuffix(subtest, "/"+name) }
	}
	return []column{
		{"JSON", func(subtest string) bool {
			return strings.Contains(subtest, "/json,_") && strings.Contains(subtest, "/script/")
		}},
		{"Newtonsoft", func(subtest string) bool {
			return strings.Contains(subtest, "/newtonsoft,_") && strings.Contains(subtest, "/script/")
		}},
		{"MessagePack", func(subtest string) bool {
			return strings.Contains(subtest, "/messagepack,_") && strings.Contains(subtest, "/script/")
		}},
		{"with negotiation", func(subtest string) bool { return strings.Contains(subtest, ",_negotiated/") }},
		{"without", func(subtest string) bool { return strings.Contains(subtest, ",_without_negotiation/") }},
		{"HTTP/2 offered", func(subtest string) bool {
			return strings.Contains(subtest, ",_negotiated_where_HTTP2_is_offered/")
		}},
		{"Server-Sent Events", func(subtest string) bool { return strings.Contains(subtest, "_over_ServerSentEvents/") }},
		{"long polling", func(subtest string) bool { return strings.Contains(subtest, "_over_LongPolling/") }},
		{"wrong token", step("refuses_a_wrong_token")},
		{"all methods", step("calls_all_methods")},
		{"1,000 events", step("receives_1000_events_in_order")},
		{"restart", func(subtest string) bool {
			return strings.Contains(subtest, "/restart/") && !strings.HasSuffix(subtest, ",_by_itself")
		}},
		{"reconnects by itself", func(subtest string) bool { return strings.HasSuffix(subtest, ",_by_itself") }},
	}
}
