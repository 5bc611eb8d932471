package mutants

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

// statements finds the mutants of a list of statements: one is left out, or two neighbours are swapped.
func (r *rewriter) statements(list []ast.Stmt) {
	for i, s := range list {
		if r.optional(s) {
			r.wrap(s, r.add("a statement is left out", s, r.textOf(s)), "if !choice.Of(%d) { ", " }")
		}
		if i+1 < len(list) {
			r.swap(s, list[i+1])
		}
	}
}

// optional reports whether the function still compiles without the statement, and may behave differently.
func (r *rewriter) optional(s ast.Stmt) bool {
	switch s := s.(type) {
	case *ast.ExprStmt, *ast.DeferStmt:
		return !harmless(r.textOf(s))
	case *ast.AssignStmt:
		return s.Tok != token.DEFINE
	case *ast.BranchStmt:
		return s.Tok == token.BREAK || s.Tok == token.CONTINUE
	case *ast.IncDecStmt, *ast.SendStmt, *ast.GoStmt:
		return true
	}
	return false
}

// harmless reports whether a statement only writes a log, or whether a test without it would only hang or leak.
func harmless(text string) bool {
	return slices.ContainsFunc([]string{
		".Debug(", ".Info(", ".Warn(", ".Error(\"", ".Lock()", ".Unlock()", ".RLock()", ".RUnlock()", "cancel()",
		".Close()", ".CloseNow()", "panic(", "fmt.Fprint", ".WriteString(", ".MustRegister(", "SetAttributes",
	}, func(call string) bool { return strings.Contains(text, call) })
}

// swap finds the mutant in which a statement comes after the next one.
func (r *rewriter) swap(first, second ast.Stmt) {
	text := r.textOf(first)
	if !movable(first) || !movable(second) || strings.Contains(text, "\n") || harmless(text) ||
		harmless(r.textOf(second)) {
		return
	}
	number := r.add("two statements are swapped", first, text+" <> "+r.textOf(second))
	r.wrap(first, number, "if !choice.Of(%d) { ", " }")
	r.edits = append(r.edits, edit{
		from: r.offset(first.Pos()), to: r.offset(second.End()),
		after: fmt.Sprintf("; if choice.Of(%d) { %s }", number, text),
	})
}

// movable reports whether a statement declares nothing and calls something.
func movable(s ast.Stmt) bool {
	switch s := s.(type) {
	case *ast.ExprStmt, *ast.SendStmt:
		return true
	case *ast.AssignStmt:
		return s.Tok != token.DEFINE && !quiet(s)
	}
	return false
}

// quiet reports whether a node calls nothing and receives nothing.
func quiet(node ast.Node) bool {
	is := true
	ast.Inspect(node, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			is = false
		case *ast.UnaryExpr:
			is = is && n.Op != token.ARROW
		}
		return is
	})
	return is
}
