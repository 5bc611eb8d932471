package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// badWords must not be a part of a name: they are metaphors, or second meanings of words that the glossary in
// docs/architecture.md gives one meaning. Each line has the words to use instead, and then the bad ones.
const badWords = `
decision, reason: verdict verdicts judge judges
peer query, request: inquiry inquiries asker
message: utterance utterances
notify, notice: teller told tells
canary: scout scouts
probe timeout: silence silences
deliver, subscribe: hear hears heard overhear sing sings sang
outlive the metaphor: survive survives survivor outlast outlasts
end: settle settled settles
reason: ground grounds
catalog: catalogue catalogues
discard, none: nobody somebody
subscriber: listento listensto
`

// allowed lists names that contain a bad word in its right sense, or that others have chosen.
const allowed = ``

// TestNames_haveNoMetaphors reads the names that our code declares.
func TestNames_haveNoMetaphors(t *testing.T) {
	instead := map[string]string{}
	for good, bad := range lists(badWords) {
		for _, word := range bad {
			instead[word] = good
		}
	}
	exceptions := strings.Fields(allowed)
	for _, root := range []string{".", "../cmd", "../api", "../test", "../bench", "../examples", "../clients"} {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() && (entry.Name() == "node_modules" || entry.Name() == "testdata") {
				if err == nil {
					err = fs.SkipDir
				}
				return err
			}
			if filepath.Ext(path) != ".go" {
				return nil
			}
			return eachName(path, func(name string, place token.Position) {
				for _, word := range wordsOf(name) {
					if good := instead[word]; good != "" && !slices.Contains(exceptions, name) {
						t.Errorf("%s: %s: instead of %q, use %s", place, name, word, good)
					}
				}
			})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// eachName calls found with the names that a file declares, and with the words of its own name.
func eachName(path string, found func(name string, place token.Position)) error {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	found(strings.TrimSuffix(filepath.Base(path), ".go"), token.Position{Filename: path})
	declared := func(names ...*ast.Ident) {
		for _, name := range names {
			if name != nil {
				found(name.Name, files.Position(name.Pos()))
			}
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			declared(n.Name)
		case *ast.TypeSpec:
			declared(n.Name)
		case *ast.ValueSpec:
			declared(n.Names...)
		case *ast.Field:
			declared(n.Names...)
		case *ast.AssignStmt:
			if n.Tok == token.DEFINE {
				for _, left := range n.Lhs {
					if name, ok := left.(*ast.Ident); ok {
						declared(name)
					}
				}
			}
		}
		return true
	})
	return nil
}

// wordsOf returns the words of a name in lower case: those of listenToRoot are listen, to and root.
func wordsOf(name string) []string {
	var words []string
	word := strings.Builder{}
	end := func() {
		if word.Len() > 0 {
			words = append(words, word.String())
			word.Reset()
		}
	}
	for _, r := range name {
		switch {
		case !unicode.IsLetter(r):
			end()
			continue
		case unicode.IsUpper(r):
			end()
		}
		word.WriteRune(unicode.ToLower(r))
	}
	end()
	return words
}
