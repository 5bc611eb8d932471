// Package wakeup wakes a goroutine that waits for work. A Signal holds at most one pending wake-up: setting it again
// before the waiter has received it changes nothing, so the waiter must look at all its work each time it wakes.
package wakeup
