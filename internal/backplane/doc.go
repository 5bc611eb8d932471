// Package backplane brings published events to every node that has listeners for them. It is the only package that
// knows Redis. A lane is the Redis channel of an organization (or of a part of a large one); a node receives only
// the lanes that its own clients listen to.
package backplane
