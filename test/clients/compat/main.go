// Command compat makes docs/compatibility.md: what a server has to do so that clients cannot tell it from ASP.NET Core,
// row by row, with the tests that show it and what became of them, and which clients have played the script of
// test/clients. It reads what "go test -json" prints of the packages with those tests and prints the page:
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

// run is the program. Its working directory is the root of the module.
func run(stdin io.Reader, stdout io.Writer) error {
	outcomes, err := readOutcomes(stdin)
	if err != nil {
		return err
	}
	return writePage(stdout, os.DirFS("."), outcomes)
}
