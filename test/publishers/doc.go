// Package publishers runs what docs/redis.md tells publishers to do, as the users that it makes for them, against a real
// Redis with a node behind it.
package publishers
