package events

import "crypto/sha256"

// StateKey says what a state event is the state of, within its topic: of two events of one topic with equal keys
// only the newer one is worth delivering. The key is zero where the topic says it all (UserStatus) and stands
// for the values of the conflation key otherwise (CallbackChanged: call list and callback). ok is false for
// events that tell a step of a call, where each counts.
func (c *Catalog) StateKey(ev *Event) (key ID, ok bool) {
	def := c.Definition(ev.Type)
	if def == nil || !def.State() {
		return ID{}, false
	}
	if len(def.keys) == 0 {
		return ID{}, true
	}
	values := make([]byte, 0, len(def.keys)*(idLen+3))
	for _, name := range def.keys {
		values = append(values, propertyValue(ev.Data, name)...)
		values = append(values, 0) // stands in no JSON
	}
	sum := sha256.Sum256(values)
	return ID(sum[:len(ID{})]), true
}

// propertyValue is the value, as published, of a top-level property by its name in Pascal case; nil if there is
// none.
func propertyValue(data []byte, pascal string) (found []byte) {
	camel := CamelCase(pascal)
	eachProperty(data, 1, func(name, value []byte) bool {
		if string(name) != pascal && string(name) != camel {
			return true
		}
		found = value
		return false
	})
	return found
}

// eachProperty calls visit with the unescaped name and the value, as it is written, of each property of an
// object that stands at a depth, until visit says false or the object turns out to be malformed. It checks no
// more than it must to find the ends. name is valid until visit returns.
func eachProperty(data []byte, depth int, visit func(name, value []byte) bool) {
	i := skipSpace(data, 0)
	if i == len(data) || data[i] != '{' {
		return
	}
	var scratch [maxShort]byte
	for i = skipSpace(data, i+1); i < len(data) && data[i] == '"'; i = skipSpace(data, i+1) {
		end, escaped := checkString(data, i)
		if end < 0 {
			return
		}
		name := data[i+1 : end-1]
		if escaped {
			name = appendUnescaped(scratch[:0], name)
		}
		if i = skipSpace(data, end); i == len(data) || data[i] != ':' {
			return
		}
		start := skipSpace(data, i+1)
		var why Reason
		if i, why = skipValue(data, start, depth); why != reasonNone || !visit(name, data[start:i]) {
			return
		}
		if i = skipSpace(data, i); i == len(data) || data[i] != ',' {
			return
		}
	}
}

// eachElement is eachProperty for arrays.
func eachElement(data []byte, depth int, visit func(value []byte) bool) {
	if len(data) == 0 || data[0] != '[' {
		return
	}
	i := skipSpace(data, 1)
	for i < len(data) && data[i] != ']' {
		end, why := skipValue(data, i, depth)
		if why != reasonNone || !visit(data[i:end]) {
			return
		}
		if i = skipSpace(data, end); i < len(data) && data[i] == ',' {
			i = skipSpace(data, i+1)
		}
	}
}
