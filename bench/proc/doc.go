// Package proc starts the servers of the bench on a core of their own and reads what they use from /proc.
//
// Linux only.
package proc
