// Command compat makes docs/compatibility.md. Each row of the page is a property that a server needs so that clients
// cannot distinguish it from ASP.NET Core, with its tests and their results. The page also lists the clients that play
// the script of test/clients. The command reads the output of "go test -json" for the packages with these tests and
// prints the page:
//
//	make compatibility
package main

import (
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "compat:", err)
		os.Exit(1)
	}
}

// run runs the program. The working directory is the root of the module.
func run(stdin io.Reader, stdout io.Writer) error {
	outcomes, err := readOutcomes(stdin)
	if err != nil {
		return err
	}
	return writePage(stdout, os.DirFS("."), outcomes)
}
