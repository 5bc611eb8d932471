package mutants

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rte-server/rte-server/test/mutants/choice"
)

// patience bounds one run of tests without a mutant.
const patience = 2 * time.Minute

// program has the tests of a package, and all mutants.
type program struct {
	file   string
	folder string // of the package, from the root of the module
	flags  []string
}

// single is one test.
type single struct {
	of      *program
	name    string
	takes   time.Duration // without a mutant
	reaches []int         // mutants
}

// build builds the tests of a package with an option of the Go command; nil if the package has none.
func build(t *testing.T, file, folder, option string) *program {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-o", file, option, folder)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go test -c %s: %v\n%s", folder, err, out)
	}
	if _, err := os.Stat(file); err != nil {
		return nil
	}
	p := &program{file: file, folder: strings.TrimPrefix(folder, "./")}
	const noFiles = "-rapid.nofailfile" // tests with rapid keep their failures in the sources otherwise
	if help, _ := p.command(t.Context(), nil, "-help").CombinedOutput(); strings.Contains(string(help), noFiles) {
		p.flags = []string{noFiles}
	}
	return p
}

// command returns a run of the program with environment variables.
func (p *program) command(ctx context.Context, variables []string, arguments ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.file, append(arguments, p.flags...)...)
	cmd.Dir = filepath.Join(root, p.folder)
	cmd.Env = append(os.Environ(), variables...)
	return cmd
}

// tests returns the tests of the program.
func (p *program) tests(t *testing.T) (list []*single) {
	t.Helper()
	out, err := p.command(t.Context(), nil, "-test.list", "^(Test|Fuzz|Example)").Output()
	if err != nil {
		t.Fatalf("list the tests of %s: %v", p.folder, err)
	}
	for name := range strings.FieldsSeq(string(out)) {
		list = append(list, &single{of: p, name: name})
	}
	return list
}

// notices reports whether one of the tests fails with a mutant, or needs more than limit.
func (p *program) notices(ctx context.Context, mutant int, tests string, limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, limit+10*time.Second) // for children that hold the output open
	defer cancel()
	return run(p.command(ctx, []string{choice.Mutant + "=" + strconv.Itoa(mutant)},
		"-test.failfast", "-test.run", tests, "-test.timeout", limit.String())) != nil
}

// run runs a command and ends the processes that it leaves, such as the Redis of a test that has crashed.
func run(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err := cmd.Run()
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	return err
}

// measure runs the test without a mutant and records what it reaches. It reports whether the test passes.
func (s *single) measure(ctx context.Context, file string) (passes bool, err error) {
	began := time.Now()
	failure := run(s.of.command(ctx, []string{choice.Reached + "=" + file},
		"-test.run", "^"+s.name+"$", "-test.timeout", patience.String()))
	s.takes = time.Since(began)
	memory, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return false, err
	}
	for mutant, reached := range memory {
		if reached != 0 {
			s.reaches = append(s.reaches, mutant)
		}
	}
	return failure == nil, nil
}
