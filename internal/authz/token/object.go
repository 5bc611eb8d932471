package token

import (
	"errors"
	"unicode/utf8"

	"github.com/rte-server/rte-server/internal/jsonscan"
)

const (
	// maxMembersOfObject is the largest number of members of an object in a token.
	maxMembersOfObject = 256
	// jsonLevels is the nesting that encoding/json accepts.
	jsonLevels = 10_000
)

var (
	errNotObject      = errors.New("not a JSON object")
	errMemberTwice    = errors.New("a member occurs twice")
	errTooManyMembers = errors.New("too many members")
	errNotUTF8        = errors.New("a name is not UTF-8")
)

// object is a JSON object. Two members of one name are an error, and names are case-sensitive, unlike in encoding/json:
// otherwise two readers could understand one token differently (RFC 7519, section 4).
type object []member

type member struct {
	name, value []byte
}

// get returns the value of a member. Objects in tokens are small: a linear search is faster than a map.
func (o object) get(name string) (value []byte, ok bool) {
	for i := range o {
		if string(o[i].name) == name {
			return o[i].value, true
		}
	}
	return nil, false
}

// parseObject splits an object into its members, which share the memory of data. The error is jsonscan.ErrSyntax,
// possibly for a value that is no object, or one of the errors above.
//
// It is here because of its checks and its cost: with json.Decoder and a map, the verification of a new HS256 token
// makes 120 more allocations.
func parseObject(data []byte) (object, error) {
	o := make(object, 0, 12)
	err := jsonscan.Members(data, jsonLevels, func(name, value []byte) error {
		if !utf8.Valid(name) {
			return errNotUTF8
		}
		if _, twice := o.get(string(name)); twice {
			return errMemberTwice
		}
		if len(o) == maxMembersOfObject {
			return errTooManyMembers
		}
		o = append(o, member{name, value})
		return nil
	})
	return o, err
}
