package runner

import (
	"context"
	"time"

	"github.com/rte-server/rte-server/bench/proc"
)

// awaitQuiet waits until the cores have been idle for a second, or for Options.Quiet at most.
func awaitQuiet(ctx context.Context, o Options) error {
	const look = time.Second
	for deadline := time.Now().Add(o.Quiet); time.Now().Before(deadline); {
		before, err := coresBusy(o)
		if err != nil {
			return err
		}
		select {
		case <-time.After(look):
		case <-ctx.Done():
			return ctx.Err()
		}
		after, err := coresBusy(o)
		if err != nil {
			return err
		}
		limit := time.Duration(Disturbed * float64(look))
		if after[0]-before[0] < limit && after[1]-before[1] < limit {
			return nil
		}
	}
	return nil
}

// coresBusy returns how long the cores of server and load have not been idle.
func coresBusy(o Options) (busy [2]time.Duration, err error) {
	for i, core := range []int{o.ServerCore, o.LoadCore} {
		if busy[i], err = proc.CoreBusy(core); err != nil {
			return busy, err
		}
	}
	return busy, nil
}
