package invoker

// BreakLoop ends a loop by a message that is not JSON, which Invoke lets no caller send. It returns how the call ended.
func (i *Invoker) BreakLoop() Outcome {
	c := &Call{id: `"`, done: make(chan struct{})}
	i.calls <- c
	<-c.done
	return c.outcome
}
