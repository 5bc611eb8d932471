package rtetest

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Lines is a program that reads and prints lines, and ends with its standard input. One goroutine may use it.
type Lines struct {
	t       *testing.T
	stdin   io.Writer
	scanner *bufio.Scanner
}

// MustStartLines starts a program. The end of the test ends it. It is killed after 15 minutes, so that reading its
// lines ends.
func MustStartLines(t *testing.T, cmd *exec.Cmd) *Lines {
	t.Helper()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	hung := time.AfterFunc(15*time.Minute, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait() // the program ends with its input
		hung.Stop()
	})
	l := &Lines{t: t, stdin: stdin, scanner: bufio.NewScanner(stdout)}
	l.scanner.Buffer(nil, 8<<20)
	return l
}

// Next returns the next line that the program prints.
func (l *Lines) Next() string {
	l.t.Helper()
	if !l.scanner.Scan() {
		l.t.Fatalf("the program has ended: %v", l.scanner.Err())
	}
	return l.scanner.Text()
}

// Request sends the program an empty line and returns the next line that it prints.
func (l *Lines) Request() string {
	l.t.Helper()
	return l.Call("")
}

// Call sends the program a line and returns the next line that it prints.
func (l *Lines) Call(line string) string {
	l.t.Helper()
	if _, err := io.WriteString(l.stdin, line+"\n"); err != nil {
		l.t.Fatal(err)
	}
	return l.Next()
}

// MustFollow starts a program and calls take with each line that it prints, in a goroutine. It returns the standard
// input of the program, and a channel that is closed at its end. The end of the test closes the standard input: the
// program must end then.
func MustFollow(t testing.TB, cmd *exec.Cmd, take func(line []byte)) (stdin io.Writer, ended <-chan struct{}) {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		scanner := bufio.NewScanner(out)
		scanner.Buffer(nil, 16<<20)
		for scanner.Scan() {
			take(scanner.Bytes())
		}
		_ = cmd.Wait() // it ended on request, or the test killed it
	}()
	t.Cleanup(func() {
		_ = in.Close()
		select {
		case <-done:
		case <-time.After(Patience):
			t.Errorf("%s does not end with its input", strings.Join(cmd.Args, " "))
			_ = cmd.Process.Kill()
			<-done
		}
	})
	return in, done
}
