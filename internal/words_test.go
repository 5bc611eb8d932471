package internal_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// forbidden are words that must not be part of a name: metaphors, and second meanings of words that the glossary of
// docs/architecture.md defines. The value is the word to use.
var forbidden = map[string]string{
	"verdict": "decision", "judge": "validate, check", "judged": "validated, checked", "ground": "reason",
	"share": "part, quota", "silence": "timeout", "settle": "complete", "settled": "complete",
	"sing": "probe", "sings": "probe", "sang": "probe", "scout": "probe",
	"hear": "receive", "hears": "receive", "heard": "received",
	"say": "report, return, state", "says": "reports, returns, states", "said": "reported, returned, stated",
	"tell": "notify, report", "tells": "notifies, reports", "told": "notified, reported", "teller": "notifier",
	"ask": "request", "asks": "requests", "asked": "requested", "asking": "requesting", "question": "query",
	"utterance": "answer", "utterances": "answers", "survive": "continue, be kept", "survives": "continues, is kept",
	"outlast": "last longer than", "outlasts": "lasts longer than", "outlives": "lasts longer than",
	"nobody": "none", "somebody": "another", "catalogue": "catalog", "catalogues": "catalogs",
	"verdicts": "decisions", "questions": "queries", "scouts": "probes", "grounds": "reasons", "silences": "timeouts",
}

// allowed are names that are published, or that a library prescribes.
var allowed = map[string]string{
	"Share": "the verb: SharedRevocations shares revocations",
}

// onlyIn are words with one meaning, and the folders in which names may have it.
var onlyIn = map[string][]string{
	// A TCP listener. What receives events is a subscriber.
	"listener": {
		"bench", "cmd", "internal/backplane/redis", "internal/backplane/respserver", "internal/node", "internal/rtetest",
		"internal/transport", "test",
	},
}

// notIn are words with one meaning, and the folders in which they had another one.
var notIn = map[string][]string{
	"lane":     {"internal/fanout"},                                                // of Redis only, not a turn queue
	"registry": {"internal/transport", "internal/hub"},                             // subscriptions.Registry only
	"table":    {"internal/backplane", "internal/authz", "internal/config", "cmd"}, // subscriptions.Table only
	"worker":   {"internal/hub"},                                                   // of the backplane only
	"item":     {"internal/fanout", "internal/backplane"},                          // of the list of a hub call only
}

// isBelow reports whether a path is below one of the folders.
func isBelow(path string, folders []string) bool {
	return slices.ContainsFunc(folders, func(folder string) bool { return strings.HasPrefix(path, folder+"/") })
}

// TestNames_avoidSecondMeanings keeps words that were replaced from coming back as names, also in tests.
func TestNames_avoidSecondMeanings(t *testing.T) {
	for path, text := range goFiles(t) {
		check := func(name, position string) {
			if _, ok := allowed[name]; ok {
				return
			}
			for _, word := range wordsOf(name) {
				if instead, bad := forbidden[word]; bad {
					t.Errorf("%s: %s has the word %q: use %s", position, name, word, instead)
				}
				word = strings.TrimSuffix(word, "s")
				if folders, ok := onlyIn[word]; ok && !isBelow(path, folders) {
					t.Errorf("%s: %s has the word %q, which has another meaning", position, name, word)
				}
				if isBelow(path, notIn[word]) {
					t.Errorf("%s: %s has the word %q, which has another meaning", position, name, word)
				}
			}
		}
		check(strings.TrimSuffix(filepath.Base(path), ".go"), path)
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range declared(file) {
			check(name.Name, fmt.Sprintf("%s:%d", path, files.Position(name.Pos()).Line))
		}
	}
}

// TestFiles_areShort keeps files below 501 lines, and lines below 121 columns.
func TestFiles_areShort(t *testing.T) {
	for path, text := range goFiles(t) {
		lines := bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
		if len(lines) > 500 {
			t.Errorf("%s has %d lines: divide it by subject", path, len(lines))
		}
		for i, line := range lines {
			if n := utf8.RuneCount(line); n > 120 {
				t.Errorf("%s:%d has %d columns", path, i+1, n)
			}
		}
	}
}

// goFiles returns the Go sources of all modules, by their path from the root of the repository.
func goFiles(t *testing.T) map[string][]byte {
	t.Helper()
	const root = ".."
	found := map[string][]byte{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := entry.Name(); entry.IsDir() {
			if path != root && (name == "build" || name == "node_modules" || strings.HasPrefix(name, ".")) {
				return fs.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		name, err := filepath.Rel(root, path)
		if err == nil {
			found[name], err = os.ReadFile(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 100 {
		t.Fatalf("found %d files", len(found))
	}
	return found
}

// declared returns all names that a file declares.
func declared(file *ast.File) (names []*ast.Ident) {
	names = append(names, file.Name)
	define := func(left ...ast.Expr) {
		for _, expression := range left {
			if name, ok := expression.(*ast.Ident); ok {
				names = append(names, name)
			}
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			names = append(names, n.Name)
		case *ast.TypeSpec:
			names = append(names, n.Name)
		case *ast.ValueSpec:
			names = append(names, n.Names...)
		case *ast.Field: // of structs and interfaces, and parameters
			names = append(names, n.Names...)
		case *ast.LabeledStmt:
			names = append(names, n.Label)
		case *ast.ImportSpec:
			if n.Name != nil {
				names = append(names, n.Name)
			}
		case *ast.AssignStmt:
			if n.Tok == token.DEFINE {
				define(n.Lhs...)
			}
		case *ast.RangeStmt:
			if n.Tok == token.DEFINE {
				define(n.Key, n.Value)
			}
		}
		return true
	})
	return names
}

// wordsOf divides a name in camel case or with underscores into its words, in lower case.
func wordsOf(name string) (words []string) {
	letters := []rune(name)
	var word []rune
	end := func() {
		if len(word) > 0 {
			words = append(words, strings.ToLower(string(word)))
		}
		word = nil
	}
	for i, r := range letters {
		nextIsLower := i+1 < len(letters) && unicode.IsLower(letters[i+1])
		switch {
		case r == '_' || r == '-' || r == '.':
			end()
			continue
		case unicode.IsUpper(r) && i > 0 && (!unicode.IsUpper(letters[i-1]) || nextIsLower):
			end()
		}
		word = append(word, r)
	}
	end()
	return words
}

func TestWordsOf_dividesNames(t *testing.T) {
	for name, want := range map[string]string{
		"saidHTTPSay": "said http say", "ask_me": "ask me", "URL": "url", "TestX_asksY": "test x asks y", "": "",
	} {
		if got := strings.Join(wordsOf(name), " "); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}
