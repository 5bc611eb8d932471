package load

import "time"

// job makes many connections ready, a limited number at a time.
type job struct {
	queue   []*conn
	start   func(*conn)
	pending int
	outcome Outcome
	began   int64
	done    chan struct{}
}

// Outcome is the result of a job.
type Outcome struct {
	Ready   int
	Failed  int
	Elapsed time.Duration
	Err     error // of the first connection that failed
}

// run starts a job with at most inFlight connections at a time.
func (l *Client) run(j *job, inFlight int) {
	j.began = l.clock.Now()
	if len(j.queue) == 0 {
		close(j.done)
		return
	}
	for range min(inFlight, len(j.queue)) {
		l.startNext(j)
	}
}

func (l *Client) startNext(j *job) {
	if len(j.queue) == 0 {
		return
	}
	c := j.queue[0]
	j.queue = j.queue[1:]
	c.job = j
	j.pending++
	j.start(c)
}

// finish reports to the job of a connection, if it has one, that the connection is ready or has failed.
func (l *Client) finish(c *conn, err error) {
	j := c.job
	if j == nil {
		return
	}
	c.job = nil
	j.pending--
	if err != nil {
		j.outcome.Failed++
		if j.outcome.Err == nil {
			j.outcome.Err = err
		}
	} else {
		j.outcome.Ready++
	}
	// The loop starts the next one. Starting it here would nest as deep as connections fail.
	l.starts = append(l.starts, j)
	if j.pending == 0 && len(j.queue) == 0 {
		j.outcome.Elapsed = time.Duration(l.clock.Now() - j.began)
		close(j.done)
	}
}
