package events

import (
	"bytes"
	"crypto/sha256"

	"github.com/rte-server/rte-server/internal/jsonscan"
)

// maxConflationKey is the maximum number of properties in a conflation key.
const maxConflationKey = 4

// keyName is the name of a property of a conflation key, in the two spellings that a message may have.
type keyName struct{ pascal, camel string }

// StateKey returns the key of a state within its topic: of two events of one topic with equal keys, only the newer one
// is worth delivering. The key is zero if a topic has one state (UserStatus), and else a hash of the values of the
// conflation key (CallbackChanged: of the callback). ok is false for events that are not states, of which each one
// counts.
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
		values = append(values, 0) // JSON text does not contain this byte
	}
	sum := sha256.Sum256(values)
	return ID(sum[:len(ID{})]), true
}

// StateName returns the text form of StateKey for publishers and people: the values of the conflation key without the
// parts of the topic, without quotation marks, and separated by colons. For CallbackChanged it is the CallBackId.
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

// keyValues returns the values of the conflation key without the parts of the topic, as written in the message. A value
// is nil if the message does not have the property.
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
