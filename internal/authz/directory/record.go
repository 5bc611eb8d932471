package directory

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/rte-server/rte-server/internal/events"
)

// maxMembers is the largest number of members of a record.
const maxMembers = 20_000

// Record is the stored description of an entity, independent of the caller. It is immutable.
type Record struct {
	Kind         events.Kind
	Organization events.ID
	Members      []events.ID // users, sorted; empty for a user
}

// document is the form of a record in files and in responses over HTTP. Name is for human readers and may be anything.
type document struct {
	ID   string `json:"id"   yaml:"id"`
	Name any    `json:"name" yaml:"name"`

	content `yaml:",inline"`
}

// content is the form of a record in Redis, whose key has the id.
type content struct {
	Kind         string   `json:"kind"         yaml:"kind"`
	Organization string   `json:"organization" yaml:"organization"`
	Members      []string `json:"members"      yaml:"members"`
}

// NewRecord makes a record. The members may be unsorted and contain duplicates.
func NewRecord(kind events.Kind, organization events.ID, members ...events.ID) *Record {
	members = slices.Clone(members)
	slices.SortFunc(members, compareIDs)
	return &Record{Kind: kind, Organization: organization, Members: slices.Compact(members)}
}

// record checks a document and makes a record of it.
func (d *content) record() (*Record, error) {
	kind, ok := events.ParseKind(d.Kind)
	if !ok {
		return nil, errors.New("kind: want User, Queue or CallList")
	}
	organization, ok := events.ParseID(d.Organization)
	if !ok {
		return nil, errors.New("organization: not a GUID")
	}
	if len(d.Members) > maxMembers {
		return nil, fmt.Errorf("members: more than %d", maxMembers)
	}
	if kind == events.KindUser && len(d.Members) > 0 {
		return nil, errors.New("members: a user has none")
	}
	members := make([]events.ID, len(d.Members))
	for i, text := range d.Members {
		if members[i], ok = events.ParseID(text); !ok {
			return nil, errors.New("members: not a GUID")
		}
	}
	return NewRecord(kind, organization, members...), nil
}

// seenBy returns the record as one caller sees it. A nil record is an unknown entity.
func (r *Record) seenBy(user events.ID) Entity {
	if r == nil {
		return Entity{}
	}
	_, member := slices.BinarySearchFunc(r.Members, user, compareIDs)
	return Entity{State: StateKnown, Kind: r.Kind, Organization: r.Organization, Member: member}
}

// withoutMembers returns the record without its members: the part to cache of a foreign record.
func (r *Record) withoutMembers() *Record {
	if r == nil || len(r.Members) == 0 {
		return r
	}
	return &Record{Kind: r.Kind, Organization: r.Organization}
}

var errNotDocument = errors.New("not a JSON object of the documented form")

func compareIDs(a, b events.ID) int { return bytes.Compare(a[:], b[:]) }

// ParseRecord reads the JSON form of a record. The error names what is wrong and quotes nothing.
func ParseRecord(data []byte) (*Record, error) {
	var d content
	if err := json.Unmarshal(data, &d); err != nil {
		return nil, errNotDocument
	}
	return d.record()
}
