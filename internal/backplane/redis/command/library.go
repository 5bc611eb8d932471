package command

import (
	"context"

	goredis "github.com/redis/go-redis/v9"
)

// Library is the function library of a server.
type Library struct {
	// Version is 0 if the server has no library.
	Version int
	// Unsupported means that the server has no functions.
	Unsupported bool
}

// Outdated reports whether a node would load the library.
func (l Library) Outdated() bool { return !l.Unsupported && l.Version < functionsVersion }

// LibraryOf reads the version of the library of a server.
func LibraryOf(ctx context.Context, server *goredis.Client) (Library, error) {
	version, err := server.FCallRO(ctx, "rte_version", nil).Int()
	switch {
	case Unsupported(err):
		return Library{Unsupported: true}, nil
	case noFunction(err):
		return Library{}, nil
	}
	return Library{Version: version}, err
}
