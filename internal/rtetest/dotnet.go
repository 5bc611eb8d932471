package rtetest

import (
	"os/exec"
	"strings"
	"testing"
)

// FindDotnet returns the path of dotnet; empty if there is none on the PATH. Then the report of "make test" has a line
// with what is not tested: nothing that the tests install brings the SDK.
func FindDotnet(t testing.TB, untested string) string {
	t.Helper()
	program, err := exec.LookPath("dotnet")
	if err != nil {
		line := "there is no dotnet on the PATH, not tested: " + untested
		t.Log(line)
		Report(t, strings.ReplaceAll(t.Name(), "/", "-"), line)
		return ""
	}
	return program
}
