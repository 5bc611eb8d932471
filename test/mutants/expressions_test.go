package mutants

import (
	"go/ast"
	"go/token"
	"go/types"
)

// typeOf returns the type of an expression whose value is not known before the program runs; nil otherwise.
func (r *rewriter) typeOf(e ast.Expr) types.Type {
	if value := r.info.Types[e]; value.Value == nil && !value.IsNil() {
		return value.Type
	}
	return nil
}

// isBool reports whether an expression has the type bool and no constant value.
func (r *rewriter) isBool(e ast.Expr) bool {
	t := r.typeOf(e)
	return t == types.Typ[types.Bool] || t == types.Typ[types.UntypedBool]
}

// never finds the mutant in which a condition is never true.
func (r *rewriter) never(kind string, e ast.Expr) {
	if r.isBool(e) {
		r.wrap(e, r.add(kind, e, r.textOf(e)), "(!choice.Of(%d) && (", "))")
	}
}

// always finds the mutant in which a condition is always true.
func (r *rewriter) always(e ast.Expr) {
	if r.isBool(e) {
		r.wrap(e, r.add("a condition is always true", e, r.textOf(e)), "(choice.Of(%d) || (", "))")
	}
}

// cases finds the mutants in which a case of a switch of conditions is left out.
func (r *rewriter) cases(s *ast.SwitchStmt) {
	if s.Tag != nil {
		return
	}
	for _, clause := range s.Body.List {
		for _, e := range clause.(*ast.CaseClause).List {
			r.never("a case is left out", e)
		}
	}
}

// binary finds the mutants of an expression with two operands.
func (r *rewriter) binary(e *ast.BinaryExpr) {
	switch e.Op {
	case token.LAND, token.LOR:
		r.term(e.X, e)
		r.term(e.Y, e)
	case token.LSS, token.GEQ, token.LEQ, token.GTR:
		if r.alike(e) {
			r.compare(e)
		}
	case token.ADD, token.SUB:
		if basic, ok := r.info.TypeOf(e).Underlying().(*types.Basic); ok && basic.Info()&types.IsInteger != 0 && r.alike(e) {
			function := map[token.Token]string{token.ADD: "Sum", token.SUB: "Difference"}[e.Op]
			r.operator(e, r.add("an operand is left out", e, r.textOf(e)), "choice."+function+"(%d, ", ")")
		}
	}
}

// term finds the mutant in which a term of a condition is left out.
func (r *rewriter) term(e ast.Expr, of *ast.BinaryExpr) {
	inner, ok := ast.Unparen(e).(*ast.BinaryExpr)
	if ok && inner.Op == of.Op || !r.isBool(e) {
		return
	}
	number := r.add("a term is left out", e, r.textOf(e)+" of "+r.textOf(of))
	if of.Op == token.LAND {
		r.wrap(e, number, "(choice.Of(%d) || (", "))")
	} else {
		r.wrap(e, number, "(!choice.Of(%d) && (", "))")
	}
}

// compare finds the mutant in which equal operands count differently.
func (r *rewriter) compare(e *ast.BinaryExpr) {
	number := r.add("a boundary is moved", e, r.textOf(e))
	switch e.Op {
	case token.LSS:
		r.operator(e, number, "choice.Less(%d, ", ")")
	case token.LEQ:
		r.operator(e, number, "choice.LessOrEqual(%d, ", ")")
	case token.GEQ:
		r.operator(e, number, "(!choice.Less(%d, ", "))")
	case token.GTR:
		r.operator(e, number, "(!choice.LessOrEqual(%d, ", "))")
	}
}

// operator makes a call of an expression with two operands.
func (r *rewriter) operator(e *ast.BinaryExpr, number int, before, after string) {
	r.wrap(e, number, before, after)
	at := r.offset(e.OpPos)
	r.edits = append(r.edits, edit{from: at, to: at + len(e.Op.String()), before: ",", replace: true})
}

// alike reports whether both operands have the same basic type, and the value is not constant.
func (r *rewriter) alike(e *ast.BinaryExpr) bool {
	if r.typeOf(e) == nil || r.typeOf(e.X) == nil && r.typeOf(e.Y) == nil {
		return false
	}
	_, basic := r.info.TypeOf(e.X).Underlying().(*types.Basic)
	return basic && types.Identical(r.info.TypeOf(e.X), r.info.TypeOf(e.Y))
}

// results finds the mutants of what a function returns.
func (r *rewriter) results(s *ast.ReturnStmt) {
	for _, e := range s.Results {
		name, isName := e.(*ast.Ident)
		switch {
		case r.isBool(e), isName && (name.Name == "true" || name.Name == "false"):
			r.wrap(e, r.add("a result is inverted", e, r.textOf(s)), "choice.Not(%d, ", ")")
		case r.typeOf(e) != nil && types.Identical(r.typeOf(e), types.Universe.Lookup("error").Type()):
			r.wrap(e, r.add("an error is lost", e, r.textOf(s)), "choice.NoError(%d, ", ")")
		}
	}
}

// call finds the mutants of calls of min, max and Clone.
func (r *rewriter) call(e *ast.CallExpr) {
	switch name := r.textOf(e.Fun); name {
	case "min", "max":
		if r.typeOf(e) == nil || len(e.Args) != 2 {
			return
		}
		number := r.add("the other one of two bounds counts", e, r.textOf(e))
		function := map[string]string{"min": "choice.Min(%d, ", "max": "choice.Max(%d, "}[name]
		r.replace(e.Fun.Pos(), e.Lparen+1, number, function)
	case "slices.Clone", "bytes.Clone", "strings.Clone", "maps.Clone":
		if quiet(e.Args[0]) {
			number := r.add("a copy is not made", e, r.textOf(e))
			r.wrap(e, number, "choice.Original(%d, "+r.textOf(e.Args[0])+", ", ")")
		}
	}
}

// fields finds the mutants in which a field of a new value is empty.
func (r *rewriter) fields(e *ast.CompositeLit) {
	if _, ok := r.info.TypeOf(e).Underlying().(*types.Struct); !ok {
		return
	}
	for _, element := range e.Elts {
		pair, ok := element.(*ast.KeyValueExpr)
		if !ok || r.typeOf(pair.Value) == nil {
			continue
		}
		if basic, ok := r.typeOf(pair.Value).(*types.Basic); ok && basic.Info()&types.IsUntyped != 0 {
			continue
		}
		if _, ok := pair.Value.(*ast.FuncLit); !ok {
			r.wrap(pair.Value, r.add("a field is empty", pair, r.textOf(pair)), "choice.Zero(%d, ", ")")
		}
	}
}
