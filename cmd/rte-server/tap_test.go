package main

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/philippseith/signalr"
)

// TestAwait_orders checks all orders in which the library sends results.
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

// TestTap_printsSnapshotsAndNotices requests the extensions: the last state, the trace of a refusal, and the notice of
// an ended subscription.
func TestTap_printsSnapshotsAndNotices(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "directory.yaml")
	mustReplace(t, directory, queueOf(testUser))
	p := start(t, serveArgs("--directory.kind=file", "--directory.file="+directory)...)
	token := strings.TrimSpace(mustCommand(t, "", "token", "--user", testUser, "--org", testOrganization))
	p.connect(token, "").subscribe(testUser, "UserStatus") // so that the node subscribes to the lane of the organization
	if status, answer := p.post("/api/publish", eventLine(1)); status != http.StatusOK {
		t.Fatalf("published: %d %s", status, answer)
	}

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	stdout, stderr := &recorder{lines: make(chan string, 10)}, &recorder{lines: make(chan string, 10)}
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{
			"tap", "--url", p.clients + "/rte?trying=1", "--token", token, "--features=snapshot,notices",
			testUser + ":UserStatus", testQueue + ":QueueStatus", testOrganization + ":UserAlert",
		}, nil, strings.NewReader(""), stdout, stderr)
	}()
	expect := func(lines <-chan string, pattern string) {
		t.Helper()
		select {
		case line := <-lines:
			if !regexp.MustCompile(pattern).MatchString(line) {
				t.Errorf("%q does not match %s", line, pattern)
			}
		case <-time.After(patience):
			t.Fatalf("waited in vain for %s; stderr: %s", pattern, stderr.text())
		}
	}
	expect(stdout.lines, `^{"subscription":.*"id":"0d000000-0000-4000-8000-000000000001".*}\n$`)
	expect(stderr.lines, `^`+testOrganization+`:useralert: Unauthorized, trace [0-9a-f-]{36}\n$`)
	mustReplace(t, directory, queueOf(""))
	expect(stderr.lines, `^SubscriptionsEnded {"code":"unauthorized",.*}\n$`)
	stop()
	if err := <-ended; err != nil || strings.Count(stdout.text(), "\n") != 1 {
		t.Errorf("tap ended with %v and printed\n%s", err, stdout.text())
	}
}
