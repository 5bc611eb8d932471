// Package backplane brings published events to every node that has subscribers for them. A lane is the Redis channel of
// an organization, or of one part of a large organization. A node receives only the lanes that its clients need.
//
// The package has what all backplanes share, and Memory, the backplane of a single node. The Redis backplane is package
// redis below it, the only one that knows Redis. Both pass the suite in backplanetest.
//
// These hold for every backplane: the events of a lane reach the Sink one at a time and in the order published; an
// event that does not belong to the organization of its lane never reaches it; and everything that others can make grow
// has a bound and a metric.
package backplane
