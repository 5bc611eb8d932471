package main

import (
	"errors"
	"os/exec"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(checkedTests{m}, map[string]func(){"rte-server": main})
}

// TestScripts_run runs the command lines of testdata/script. They have one command more than testscript:
// "exitcode N ARG..." runs rte-server and fails unless it ends with N.
func TestScripts_run(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exitcode": func(ts *testscript.TestScript, neg bool, args []string) {
				want, err := strconv.Atoi(args[0])
				if err != nil || neg {
					ts.Fatalf("usage: exitcode N ARG...")
				}
				var ended *exec.ExitError
				if err := ts.Exec("rte-server", args[1:]...); !errors.As(err, &ended) {
					ts.Fatalf("ended with %v, want code %d", err, want)
				}
				if got := ended.ExitCode(); got != want {
					ts.Fatalf("ended with code %d, want %d", got, want)
				}
			},
		},
	})
}
