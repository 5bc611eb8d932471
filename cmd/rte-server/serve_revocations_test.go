package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// A revocation could be neither listed nor undone: a mistake locked a user out for a month.
func TestServe_undoesRevocations(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	proxy := rtetest.MustStartProxy(t, redis.Addr)
	args := serveArgs("--redis.addresses=" + proxy.Addr)
	nodes := []*running{start(t, args...), start(t, args...)}
	token := mustServiceToken(t, testOrganization)
	id := claimOf(t, token, "jti")
	expect := func(when string, want int) {
		t.Helper()
		for i, p := range nodes {
			negotiate := func() int {
				status, _ := fetch(t, "POST", p.clients+"/rte/negotiate?negotiateVersion=1", "Authorization", "Bearer "+token)
				return status
			}
			eventually(t, fmt.Sprintf("%s: node %d to answer %d", when, i, want), func() bool { return negotiate() == want })
		}
	}
	command := func(p *running, args ...string) string {
		t.Helper()
		return mustCommand(t, "", append(append([]string{"revocations"}, args...), "--url="+p.operators)...)
	}

	c := nodes[1].connect(token, "")
	if got := command(nodes[0], "add", "--user", testUser); !strings.HasPrefix(
		got, "user "+testUser+"  revoked: tokens before 20",
	) || !strings.HasSuffix(got, "0 connections of this node closed\n") {
		t.Errorf("add printed %q", got)
	}
	c.expect(refusedClose)
	expect("revoked", 401)
	if got := command(nodes[1]); !strings.HasPrefix(got, "user "+testUser+"  revoked: tokens before 20") {
		t.Errorf("the list is %q", got)
	}
	if got := command(nodes[1], "undo", "--user", testUser); !strings.HasPrefix(got, "user "+testUser+"  undone, ") ||
		strings.Contains(got, "knew no") {
		t.Errorf("undo printed %q", got)
	}
	expect("undone", 200)
	got := command(nodes[0], "--user", testUser)
	if strings.Count(got, "\n") != 1 || !strings.Contains(got, "  undone, ") {
		t.Errorf("the list is %q", got)
	}
	nodes = append(nodes, start(t, args...))
	expect("undone, with a node that starts later", 200)

	proxy.Refuse(true)
	proxy.Cut()
	for _, step := range []struct{ method, path, body string }{
		{"POST", "/api/revoke", `{"jti":"` + id + `"}`}, {"DELETE", "/api/revocations?jti=" + id, ""},
	} {
		if status, answer := nodes[0].send(step.method, step.path, step.body); status != 202 || !strings.Contains(
			answer, `"nodes":"this"`,
		) {
			t.Errorf("%s %s without Redis: %d %s", step.method, step.path, status, answer)
		}
	}
	client := redis.Client()
	defer client.Close()
	if err := client.FlushAll(t.Context()).Err(); err != nil { // the nodes restore what they know
		t.Fatal(err)
	}
	proxy.Refuse(false)
	for _, p := range nodes {
		eventually(t, "all nodes to know both", func() bool {
			_, answer := fetch(t, "GET", p.operators+"/api/revocations")
			return strings.Contains(answer, `"matching":2,`) && strings.Count(answer, `"undone":true`) == 2
		})
	}
	expect("undone while Redis was away", 200)

	if status, answer := nodes[2].post("/api/revoke", `{"user":"`+testUser+`","all":true}`); status != 200 ||
		strings.Contains(answer, "before") {
		t.Errorf("revoked again: %d %s", status, answer)
	}
	expect("revoked again", 401)
	if status, answer := nodes[0].send("DELETE", "/api/revocations?user="+testUser, ""); status != 200 ||
		!strings.Contains(answer, `"known":true,"nodes":"all"`) {
		t.Errorf("undone again: %d %s", status, answer)
	}
	expect("undone again", 200)

	for _, wrong := range []string{"", "?user=x", "?jti=", "?jti=a&user=" + testUser, "?tokens=all"} {
		if status, answer := nodes[0].send("DELETE", "/api/revocations"+wrong, ""); status != 400 {
			t.Errorf("DELETE /api/revocations%s: %d %s", wrong, status, answer)
		}
	}
	for _, wrong := range []string{`{"jti":"a","all":true}`, `{"user":"` + testUser + `","before":1,"all":true}`} {
		if status, answer := nodes[0].post("/api/revoke", wrong); status != 400 {
			t.Errorf("%s: %d %s", wrong, status, answer)
		}
	}
}
