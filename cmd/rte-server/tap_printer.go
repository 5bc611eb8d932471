package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
)

// tapPrinter prints events as lines, and what is said about subscriptions elsewhere.
type tapPrinter struct {
	mu        sync.Mutex
	out, told io.Writer               // guarded by mu
	left      int                     // guarded by mu; events until done, 0: it never is
	done      context.CancelCauseFunc // told when the last event is printed, or one cannot be
}

// invoked prints what the server calls a method of the client with.
func (p *tapPrinter) invoked(method string, argument json.RawMessage) {
	if method == "MessageReceived" {
		p.print(argument)
	} else {
		p.tell(method + " " + string(argument))
	}
}

// tell prints a line that is no event.
func (p *tapPrinter) tell(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = fmt.Fprintln(p.told, line)
}

func (p *tapPrinter) print(event json.RawMessage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left < 0 {
		return
	}
	if _, err := p.out.Write(append(event, '\n')); err != nil {
		p.left = -1
		p.done(err)
	}
	if p.left > 0 {
		if p.left--; p.left == 0 {
			p.left = -1
			p.done(errTapped)
		}
	}
}
