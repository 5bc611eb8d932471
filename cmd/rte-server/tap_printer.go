package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
)

// tapPrinter prints events as lines, and notices elsewhere.
type tapPrinter struct {
	mu           sync.Mutex
	out, notices io.Writer               // guarded by mu
	left         int                     // guarded by mu; events until done; 0: no limit
	done         context.CancelCauseFunc // called after the last event, or when printing fails
}

// invoked prints an invocation of the server.
func (p *tapPrinter) invoked(method string, argument json.RawMessage) {
	if method == "MessageReceived" {
		p.print(argument)
	} else {
		p.printNotice(method + " " + string(argument))
	}
}

// printNotice prints a line that is not an event.
func (p *tapPrinter) printNotice(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = fmt.Fprintln(p.notices, line)
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
