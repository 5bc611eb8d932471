package mutants

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"path"
	"strconv"
	"strings"
)

// mutant is the program with one change.
type mutant struct {
	number int    // from 1 on
	kind   string // of the change
	file   string // from the root of the module
	line   int
	in     string // the function
	text   string // what is changed
}

// textBytes bounds the text of a mutant.
const textBytes = 160

// folder returns the folder of the changed package.
func (m *mutant) folder() string { return path.Dir(m.file) }

func (m *mutant) String() string {
	return fmt.Sprintf("%d\t%s:%d\t%s\t%s\t%s", m.number, m.file, m.line, m.in, m.kind, m.text)
}

// rewriter puts the mutants of packages into their sources.
type rewriter struct {
	mutants []mutant // found so far, in all packages
	// Of the current source:
	files  *token.FileSet
	info   *types.Info
	file   string
	source []byte
	in     string
	edits  edits
}

// rewrite returns a source with all its mutants; nil if it has none.
func (r *rewriter) rewrite(file *ast.File, name string, source []byte) []byte {
	r.file, r.source, r.edits = name, source, nil
	for _, declaration := range file.Decls {
		function, ok := declaration.(*ast.FuncDecl)
		if !ok || function.Body == nil || uninteresting(function.Name.Name) {
			continue
		}
		r.in = function.Name.Name
		ast.Inspect(function.Body, r.visit)
	}
	if len(r.edits) == 0 {
		return nil
	}
	end := r.offset(file.Name.End())
	r.edits = append(r.edits, edit{from: 0, to: end, after: `; import choice "` + choices + `"`})
	return r.edits.apply(source)
}

// uninteresting reports whether a function is only for people and for Prometheus.
func uninteresting(function string) bool {
	return function == "String" || function == "Describe" || function == "Collect"
}

func (r *rewriter) offset(at token.Pos) int { return r.files.Position(at).Offset }

// textOf returns the source of a node.
func (r *rewriter) textOf(node ast.Node) string {
	return string(r.source[r.offset(node.Pos()):r.offset(node.End())])
}

// add adds a mutant and returns its number.
func (r *rewriter) add(kind string, node ast.Node, text string) int {
	text = strings.Join(strings.Fields(text), " ")
	r.mutants = append(r.mutants, mutant{
		number: len(r.mutants) + 1, kind: kind, file: r.file, line: r.files.Position(node.Pos()).Line, in: r.in,
		text: text[:min(len(text), textBytes)],
	})
	return len(r.mutants)
}

// wrap puts text around a node; %d in before is the number of the mutant.
func (r *rewriter) wrap(node ast.Node, number int, before, after string) {
	r.edits = append(r.edits, edit{
		from: r.offset(node.Pos()), to: r.offset(node.End()), before: numbered(before, number), after: after,
	})
}

// replace replaces the text between two places; %d in text is the number of the mutant.
func (r *rewriter) replace(from, to token.Pos, number int, text string) {
	r.edits = append(r.edits, edit{
		from: r.offset(from), to: r.offset(to), before: numbered(text, number), replace: true,
	})
}

// numbered puts the number into a text, which may contain sources.
func numbered(text string, number int) string {
	return strings.Replace(text, "%d", strconv.Itoa(number), 1)
}

// visit finds the mutants of a node.
func (r *rewriter) visit(node ast.Node) bool {
	switch node := node.(type) {
	case *ast.GenDecl:
		return node.Tok == token.VAR
	case *ast.BlockStmt:
		r.statements(node.List)
	case *ast.CaseClause:
		r.statements(node.Body)
	case *ast.CommClause:
		r.statements(node.Body)
	case *ast.IfStmt:
		r.never("a condition is never true", node.Cond)
		if !strings.Contains(r.textOf(node.Cond), "err != nil") {
			r.always(node.Cond)
		}
	case *ast.SwitchStmt:
		r.cases(node)
	case *ast.BinaryExpr:
		r.binary(node)
	case *ast.ReturnStmt:
		r.results(node)
	case *ast.CallExpr:
		r.call(node)
	case *ast.CompositeLit:
		r.fields(node)
	}
	return true
}
