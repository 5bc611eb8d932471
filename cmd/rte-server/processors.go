package main

import (
	"os"
	"runtime"
)

// spareProcessor gives the runtime one processor more than the machine has, unless the environment says how many it is
// to have. Each shard keeps one busy under load; the spare one waits for the network meanwhile, and the kernel sees to it
// that it gets its turn. Without it the runtime looks at the network every 10 ms: one core then took 90,000 deliveries a
// second from one publisher over HTTP instead of 450,000.
func spareProcessor() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
}
