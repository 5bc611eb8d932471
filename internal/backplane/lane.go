package backplane

import (
	"cmp"
	"hash/crc32"
	"strconv"
	"strings"

	"github.com/rte-server/rte-server/internal/events"
)

const (
	// DefaultPrefix begins the names of all channels and keys where Layout.Prefix is empty.
	DefaultPrefix = "rte:"
	// MaxPrefix is the length of the longest Layout.Prefix, in bytes.
	MaxPrefix = 64
	// laneKind follows the prefix in the name of a lane.
	laneKind = "org:"
)

// rootEntityType is the RootEntityType of every published event.
const rootEntityType = "Organization"

// Layout defines how the events of an organization are spread over lanes.
type Layout struct {
	// Prefix begins the names of all channels and keys, so that deployments can share a Redis. At most MaxPrefix bytes;
	// empty: DefaultPrefix.
	Prefix string
	// Lanes is the number of lanes of each organization. With 0 or 1 its only lane is Prefix, "org:" and the id of the
	// organization in lower case. With more, ":" and the number of the lane follow, and the lane of an entity is
	// crc32_ieee("Organization:" + EntityId in lower case) mod Lanes.
	Lanes int
}

// Lane returns the name of the lane that carries the events of an entity.
func (l Layout) Lane(organization, entity events.ID) string {
	var name [maxLane]byte
	return string(l.append(name[:0], organization, entity))
}

// maxLane is the length of the longest name of a lane.
const maxLane = MaxPrefix + len(laneKind) + 36 + 1 + 20

// laneKey identifies a lane where its name is not needed.
type laneKey struct {
	organization events.ID
	number       uint64 // 0 where an organization has only one
}

// key returns the key of the lane that carries the events of an entity.
func (l Layout) key(organization, entity events.ID) laneKey {
	if l.Lanes <= 1 {
		return laneKey{organization: organization}
	}
	var key [len(rootEntityType) + 1 + 36]byte
	copy(key[:], rootEntityType+":")
	entity.Put(key[len(rootEntityType)+1:])
	return laneKey{organization, uint64(crc32.ChecksumIEEE(key[:])) % uint64(l.Lanes)}
}

// append appends the name of a lane.
func (l Layout) append(name []byte, organization, entity events.ID) []byte {
	name = append(name, cmp.Or(l.Prefix, DefaultPrefix)...)
	name = append(name, laneKind...)
	name = organization.Append(name)
	if l.Lanes > 1 {
		name = append(name, ':')
		name = strconv.AppendUint(name, l.key(organization, entity).number, 10)
	}
	return name
}

// Group groups topics by the names of their lanes.
func (l Layout) Group(topics []events.Topic) map[string][]events.Topic {
	lanes := map[string][]events.Topic{}
	for _, t := range topics {
		name := l.Lane(t.Organization, t.Entity)
		lanes[name] = append(lanes[name], t)
	}
	return lanes
}

// Named returns the name of a channel or key whose name with DefaultPrefix is given.
func (l Layout) Named(name string) string {
	if l.Prefix == "" {
		return name
	}
	return l.Prefix + strings.TrimPrefix(name, DefaultPrefix)
}

// PrefixOf returns the prefix of the name of a lane.
func PrefixOf(lane string) string {
	if i := strings.LastIndex(lane, laneKind); i >= 0 { // an id has no such letters
		return lane[:i]
	}
	return DefaultPrefix
}

// Organization returns the organization of a lane, and whether name is the name of a lane with this prefix.
func (l Layout) Organization(name string) (events.ID, bool) {
	rest, ok := strings.CutPrefix(name, cmp.Or(l.Prefix, DefaultPrefix)+laneKind)
	if !ok {
		return events.ID{}, false
	}
	id, number, numbered := strings.Cut(rest, ":")
	if numbered {
		if _, err := strconv.ParseUint(number, 10, 31); err != nil {
			return events.ID{}, false
		}
	}
	return events.ParseID(id)
}
