package directory

import (
	"encoding/json"
	"errors"

	"github.com/rte-server/rte-server/internal/events"
)

// Change lists the entities of a directory that changed.
type Change struct {
	// All means that any entity may have changed.
	All bool
	// Entities are the changed ones, users included: a change of a user's own record changes the rights of the user.
	Entities []events.ID
}

// MaxChange is the largest number of entities in a Change. A larger change sets All.
const MaxChange = 10_000

// ParseChange reads a message about a changed directory: {"entities": ["c9eeb030-...", ...]} or {"all": true}.
func ParseChange(data []byte) (Change, error) {
	var message struct {
		All      bool     `json:"all"`
		Entities []string `json:"entities"`
	}
	if json.Unmarshal(data, &message) != nil {
		return Change{}, errors.New("change: not a JSON object of the documented form")
	}
	if !message.All && len(message.Entities) == 0 {
		return Change{}, errors.New("change: names no entity")
	}
	if len(message.Entities) > MaxChange {
		return Change{}, errors.New("change: too many entities")
	}
	change := Change{All: message.All}
	for _, text := range message.Entities {
		id, ok := events.ParseID(text)
		if !ok {
			return Change{}, errors.New("change: entities: not a GUID")
		}
		change.Entities = append(change.Entities, id)
	}
	return change, nil
}
