package transports_test

import (
	"testing"

	"github.com/rte-server/rte-server/internal/transport/transports"
)

func TestParse(t *testing.T) {
	for name, test := range map[string]struct {
		names []string
		want  transports.Set
		fails bool
	}{
		"none":         {nil, transports.Set{transports.WebSockets: true}, false},
		"any case":     {[]string{"longpolling"}, transports.Set{transports.LongPolling: true}, false},
		"all":          {[]string{"LongPolling", "WebSockets", "ServerSentEvents"}, transports.Set{true, true, true}, false},
		"unknown":      {[]string{"WebSockets", "ForeverFrame"}, transports.Set{}, true},
		"empty string": {[]string{""}, transports.Set{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := transports.Parse(test.names)
			if got != test.want || err != nil != test.fails {
				t.Errorf("%v %v, want %v", got, err, test.want)
			}
		})
	}
}
