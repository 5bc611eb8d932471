package main

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// "config chek" printed the help and succeeded, so a script took it for a passed check.
func TestRun_refusesUnknownCommands(t *testing.T) {
	for line, want := range map[string]string{
		"chek":                     `unknown command "chek" for "rte-server"`,
		"config chek":              `unknown command "chek" for "rte-server config"; did you mean "check"?`,
		"redis x":                  `unknown command "x" for "rte-server redis"`,
		"revocations x":            `unknown command "x" for "rte-server revocations"`,
		"config check x":           `unknown command "x" for "rte-server config check"`,
		"why --event x --output y": `invalid argument "y" for "-o, --output" flag: must be text or json`,
	} {
		_, stderr, err := command(t, "", strings.Fields(line)...)
		if exitCode(err) != 2 || !strings.Contains(stderr, want) {
			t.Errorf("%s: ended with %d: %s", line, exitCode(err), stderr)
		}
	}
	if stdout := mustCommand(t, "", "config"); !strings.Contains(stdout, "check") {
		t.Errorf("config printed %s", stdout)
	}
}

func TestRun_printsItsVersion(t *testing.T) {
	a, b := mustCommand(t, "", "--version"), mustCommand(t, "", "version")
	if a != b || !strings.HasPrefix(a, "rte-server ") {
		t.Errorf("printed %q and %q", a, b)
	}
}

// Errors name the next step.
func TestRun_advises(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := listener.Addr().String()
	_ = listener.Close()
	p := start(t, serveArgs()...)
	expired := rtetest.MustTokenFor(t, authz.Claims{Role: authz.RoleService}, -190*time.Second)
	for name, test := range map[string]struct{ args, want string }{
		"no operator port": {"why --event x --url http://" + closed, "is it running? --url names another address"},
		"no probe":         {"health --url http://" + closed, "is it running? --url names another address"},
		"no hub":           {"tap --token x --url http://" + closed + " " + testUser, "is it running? --url names"},
		"no live tap":      {"tap --operator http://" + closed, "is it running? --operator names another address"},
		"no token":         {"tap --url " + p.clients + "/rte " + testUser, "the server wants a token: --token"},
		"expired token": {
			"tap --token " + expired + " --url " + p.clients + "/rte " + testUser,
			"the token was refused; it expired 3 minutes ago",
		},
		"no JWT": {"bench --token x --clients 1 --url " + p.clients + "/rte --org " + testOrganization, "it is no JWT"},
	} {
		_, stderr, err := command(t, "", strings.Fields(test.args)...)
		if exitCode(err) != 1 || !strings.Contains(stderr, test.want) {
			t.Errorf("%s: ended with %d: %s", name, exitCode(err), stderr)
		}
	}
}
