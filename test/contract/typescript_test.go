package contract_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestTypings_compileStrictly compiles a client that narrows by eventType, with --strict. Lines that must not compile
// are marked; errors on other lines, and marks on lines without an error, fail the test.
func TestTypings_compileStrictly(t *testing.T) {
	requireModules(t)
	mustCompile(t, "tsconfig.json")
}

// around is the code that the examples of docs/extensions.md omit: imports and the reader's own declarations.
const around = `
import {
  DefaultHttpClient, type HttpRequest, type HttpResponse, type HubConnection, HubConnectionBuilder, NullLogger
} from "@microsoft/signalr";
import type {
  Closing, EntitySubscription, Limits, Resync, Subscription, SubscriptionResult, SubscriptionsEnded
} from "rte-events";
declare const url: string;
declare const wanted: EntitySubscription[];
declare function accessTokenFactory(): Promise<string>;
declare function openConnection(): HubConnection;
declare const board: {
  remove(entity: string, event: string): void;
  moveTo(next: HubConnection, before: Date): void;
  compareWith(active: Promise<Subscription[]>): void;
  divideBy(items: number): void;
  fetchAgain(entities: "all" | Set<string>, from: string | undefined): Promise<void>;
};
`

// TestExtensions_compileStrictly compiles the examples of docs/extensions.md with Microsoft's client and the typings.
func TestExtensions_compileStrictly(t *testing.T) {
	requireModules(t)
	page, err := os.ReadFile("../../docs/extensions.md")
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		CompilerOptions map[string]any `json:"compilerOptions"`
		Files           []string       `json:"files"`
	}
	own, err := os.ReadFile("tsconfig.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(own, &config); err != nil {
		t.Fatal(err)
	}
	config.CompilerOptions["paths"] = map[string][]string{
		"@microsoft/signalr": {mustAbs(t, "node_modules/@microsoft/signalr")},
		"rte-events":         {mustAbs(t, "../../api/rte-events.d.ts")},
	}
	config.Files = nil
	dir := t.TempDir()
	for i, part := range strings.Split(string(page), "\n```ts\n")[1:] {
		example, _, closed := strings.Cut(part, "\n```\n")
		if !closed {
			t.Fatalf("example %d has no end", i+1)
		}
		text := around + example + "\nexport {};\n"
		if !strings.Contains(example, "const connection =") {
			text = around + "declare const connection: HubConnection;\n" + example + "\nexport {};\n"
		}
		name := fmt.Sprintf("example%d.ts", i+1)
		mustWrite(t, filepath.Join(dir, name), []byte(text))
		config.Files = append(config.Files, name)
	}
	if len(config.Files) < 5 {
		t.Errorf("docs/extensions.md has %d examples, want 5 or more", len(config.Files))
	}
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	project := filepath.Join(dir, "tsconfig.json")
	mustWrite(t, project, text)
	mustCompile(t, project)
}

func mustCompile(t *testing.T, project string) {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), "node_modules/.bin/tsc", "--project", project).CombinedOutput()
	if err != nil {
		t.Errorf("tsc: %v\n%s", err, output)
	}
}

func mustAbs(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

func mustWrite(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
