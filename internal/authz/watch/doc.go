// Package watch reads configuration files again when they change: policies, directories and keys. A version that cannot
// be read or that its owner refuses never replaces the last good one.
package watch
