// Command generate makes all files that depend on the catalog of events: the Go constants of package events, the JSON
// Schemas, the AsyncAPI document, the types for TypeScript, C#, Python and Java, and docs/events.md. Run it with
// `go generate ./internal/events`. Its test fails if the files in the repository differ from the output.
package main

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"

	"github.com/rte-server/rte-server/internal/events"
)

func main() {
	root := flag.String("root", ".", "root of the repository")
	flag.Parse()
	if err := run(*root); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(root string) error {
	made, err := files(events.Builtin())
	if err != nil {
		return err
	}
	for name, content := range made {
		//nolint:gosec // sources may be readable by all
		if err := os.WriteFile(filepath.Join(root, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// schemaDir is the folder of the JSON Schemas.
const schemaDir = "api/schemas"

// files returns the contents of all generated files by their path in the repository.
func files(c *events.Catalog) (map[string][]byte, error) {
	made := map[string][]byte{
		"api/rte-events.d.ts":              typescript(c),
		"clients/typescript/src/events.ts": typescriptModule(c),
		"docs/events.md":                   markdown(c),
		pythonFile:                         python(c),
		javaFile:                           java(c),
	}
	var err error
	if made["internal/events/types_gen.go"], err = constants(c); err != nil {
		return nil, fmt.Errorf("make constants: %w", err)
	}
	if made["api/asyncapi.yaml"], err = asyncAPI(c).yaml(); err != nil {
		return nil, fmt.Errorf("make AsyncAPI document: %w", err)
	}
	maps.Copy(made, csharp(c))
	for d := range definitions(c) {
		if made[filepath.Join(schemaDir, d.Name+".schema.json")], err = schemaFile(c, d).json(); err != nil {
			return nil, fmt.Errorf("make schema of %s: %w", d.Name, err)
		}
	}
	return made, nil
}

// definitions returns the definitions of a catalog in its order.
func definitions(c *events.Catalog) func(yield func(*events.Definition) bool) {
	return func(yield func(*events.Definition) bool) {
		for _, name := range c.Names() {
			number, _ := c.Lookup(name)
			if !yield(c.Definition(number)) {
				return
			}
		}
	}
}
