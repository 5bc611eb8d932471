package events

import (
	"math"
	"strconv"

	"github.com/rte-server/rte-server/internal/jsonscan"
)

// Deviation is a difference between an event and the definition of its type.
type Deviation struct {
	// Property is the name of the property in Pascal case.
	Property string
	Problem  Problem
}

// Problem is the kind of a Deviation.
type Problem uint8

// The problems.
const (
	// ProblemMissing: a required property is absent.
	ProblemMissing Problem = iota
	// ProblemType: the value does not have the property's type.
	ProblemType
	// ProblemValue: the value has the right type, but is out of range or not in a closed enumeration.
	ProblemValue

	problemCount
)

var problemNames = [problemCount]string{
	ProblemMissing: "missing",
	ProblemType:    "wrong_type",
	ProblemValue:   "wrong_value",
}

// String returns the machine-readable name, for instance "wrong_type".
func (p Problem) String() string {
	if p >= problemCount {
		return "invalid"
	}
	return problemNames[p]
}

// Check compares an event with the definition of its type and returns the deviations in the order of the catalog. The
// event must be one that AppendJSON accepts. Check agrees with the type's JSON Schema: unknown properties are allowed.
func (c *Catalog) Check(ev *Event) []Deviation {
	def := c.Definition(ev.Type)
	if def == nil {
		return nil
	}
	values := map[string][]byte{}
	jsonscan.SkimMembers(ev.Data, maxDepth, func(name, value []byte) bool {
		pascal, ok := def.pascal[string(name)]
		if !ok {
			pascal = string(name)
		}
		values[pascal] = value
		return true
	})
	var found []Deviation
	check := func(p *Property, only string) {
		value, present := values[p.Name]
		switch {
		case !present && !p.Required():
		case !present:
			found = append(found, Deviation{p.Name, ProblemMissing})
		case only != "" && string(value) != strconv.Quote(only):
			found = append(found, Deviation{p.Name, ProblemValue})
		default:
			if problem, ok := p.check(value); !ok {
				found = append(found, Deviation{p.Name, problem})
			}
		}
	}
	for i := range c.envelope {
		switch p := &c.envelope[i]; p.Name {
		case "EventType":
			check(p, def.Name)
		case "EntityType":
			check(p, def.Kind.String())
		default:
			check(p, "")
		}
	}
	for i := range def.Properties {
		check(&def.Properties[i], "")
	}
	return found
}

// check checks a value as written in the message. ok reports whether the value is right; problem is set if it is not.
func (p *Property) check(value []byte) (problem Problem, ok bool) {
	if string(value) == "null" {
		return ProblemType, p.AllowsNull()
	}
	if !p.Type.hasForm(value) {
		return ProblemType, false
	}
	return ProblemValue, p.inRange(value)
}

// hasForm reports whether a value has the JSON form of this type.
func (t ValueType) hasForm(value []byte) bool {
	first := value[0]
	switch t {
	case TypeString, TypeGUID, TypeDateTime:
		return first == '"'
	case TypeBool:
		return first == 't' || first == 'f'
	case TypeShort, TypeInt, TypeLong:
		return isInteger(value)
	case TypeDouble, TypeDecimal:
		return isNumber(first)
	case TypeEnum:
		return first == '"' || isInteger(value)
	case TypeDictionary:
		return first == '{' && ofStrings(value)
	case TypeList:
		return first == '[' && ofObjects(value)
	default:
		return first == '{'
	}
}

func isNumber(first byte) bool { return first == '-' || first-'0' <= 9 }

func isInteger(value []byte) bool {
	digits := value
	if len(digits) > 1 && digits[0] == '-' {
		digits = digits[1:]
	}
	return jsonscan.DigitsEnd(digits, 0) == len(digits)
}

func ofStrings(object []byte) bool {
	ok := true
	jsonscan.SkimMembers(object, maxDepth-1, func(_, value []byte) bool {
		ok = value[0] == '"' || string(value) == "null"
		return ok
	})
	return ok
}

func ofObjects(array []byte) bool {
	ok := true
	jsonscan.SkimElements(array, maxDepth-1, func(value []byte) bool {
		ok = value[0] == '{'
		return ok
	})
	return ok
}

// inRange reports whether a value with the form of the property's type is in its range.
func (p *Property) inRange(value []byte) bool {
	var scratch [maxShort]byte
	switch p.Type {
	case TypeGUID:
		_, ok := guid(value)
		return ok
	case TypeDateTime:
		_, ok := parseDateTime(shortText(scratch[:0], value))
		return ok
	case TypeShort, TypeInt, TypeLong:
		n, err := strconv.ParseInt(string(value), 10, 64)
		return err == nil && p.Type.holds(n) && p.Enum.allows("", n)
	case TypeString:
		return p.Enum.allows(string(shortText(scratch[:0], value)), 0)
	default:
		return true
	}
}

func (t ValueType) holds(n int64) bool {
	switch t {
	case TypeShort:
		return n >= math.MinInt16 && n <= math.MaxInt16
	case TypeInt:
		return n >= math.MinInt32 && n <= math.MaxInt32
	default:
		return true
	}
}

// allows reports whether a value may occur. An enumeration that is not closed allows all values.
func (e *Enum) allows(text string, number int64) bool {
	if e == nil || !e.Closed {
		return true
	}
	for _, v := range e.Values {
		if e.Type == TypeString && v.Name == text || e.Type != TypeString && int64(v.Number) == number {
			return true
		}
	}
	return false
}
