// Package backplane brings published events to every node that has listeners for them. A lane is the Redis channel
// of an organization (or of a part of a large one); a node receives only the lanes that its own clients listen to.
//
// The package holds what all backplanes share, and Memory, the backplane of a single node. The Redis backplane is in
// the package redis below it, the only one that knows Redis. Both pass the suite in backplanetest.
package backplane
