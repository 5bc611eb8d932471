package events

import (
	"bytes"
	"crypto/sha256"

	"github.com/rte-server/rte-server/internal/jsonscan"
)

// maxConflationKey is how many properties a conflation key may have.
const maxConflationKey = 4

// keyName is the name of a property of a conflation key as it may stand in a message.
type keyName struct{ pascal, camel string }

// StateKey says what a state event is the state of, within its topic: of two events of one topic with equal keys
// only the newer one is worth delivering. The key is zero where the topic says it all (UserStatus) and stands
// for the values of the conflation key otherwise (CallbackChanged: the callback). ok is false for
// events that tell a step of a call, where each counts.
func (c *Catalog) StateKey(ev *Event) (key ID, ok bool) {
	def := c.Definition(ev.Type)
	if def == nil || !def.State() {
		return ID{}, false
	}
	if len(def.keys) == 0 {
		return ID{}, true
	}
	found := def.keyValues(ev.Data)
	var room [maxConflationKey * (IDLen + 3)]byte
	values := room[:0]
	for _, value := range found {
		values = append(values, value...)
		values = append(values, 0) // stands in no JSON
	}
	sum := sha256.Sum256(values)
	return ID(sum[:len(ID{})]), true
}

// StateName is what StateKey stands for, as publishers and people write it: the values of the conflation key that the
// topic does not say, without quotation marks and with colons between them. That of CallbackChanged is its CallBackId.
func (c *Catalog) StateName(ev *Event) string {
	def := c.Definition(ev.Type)
	if def == nil {
		return ""
	}
	values := def.keyValues(ev.Data)
	for i, value := range values {
		values[i] = bytes.Trim(value, `"`)
	}
	return string(bytes.Join(values[:len(def.keys)], []byte(":")))
}

// keyValues are the values of the conflation key that the topic does not say, as they are written; nil where there is no
// such property.
func (d *Definition) keyValues(data []byte) (values [maxConflationKey][]byte) {
	jsonscan.SkimMembers(data, maxDepth, func(name, value []byte) bool {
		for i, key := range d.keys {
			if string(name) == key.pascal || string(name) == key.camel {
				values[i] = value
			}
		}
		return true
	})
	return values
}
