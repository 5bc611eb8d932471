// Package proc starts the servers of the bench on a core of their own and reads their use of resources from /proc.
//
// Linux only.
package proc
