package main

import (
	"errors"
	"testing"

	"github.com/philippseith/signalr"
)

// TestAwait_orders has the library hand over what it does in the orders that it does it in.
func TestAwait_orders(t *testing.T) {
	lost := errors.New("the connection is lost")
	tests := map[string]struct {
		answers []signalr.InvokeResult
		want    any
		err     error
	}{
		"the result first":         {answers: []signalr.InvokeResult{{Value: "result"}, {}}, want: "result"},
		"the absent error first":   {answers: []signalr.InvokeResult{{}, {Value: "result"}}, want: "result"},
		"an error":                 {answers: []signalr.InvokeResult{{Error: lost}}, err: lost},
		"neither, as for a null":   {},
		"a loss before the answer": {answers: []signalr.InvokeResult{{}, {Error: lost}}, err: lost},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			answers := make(chan signalr.InvokeResult, len(test.answers))
			for _, a := range test.answers {
				answers <- a
			}
			close(answers)
			if got, err := await(t.Context(), answers); got != test.want || !errors.Is(err, test.err) {
				t.Errorf("await = %v, %v, want %v, %v", got, err, test.want, test.err)
			}
		})
	}
}
