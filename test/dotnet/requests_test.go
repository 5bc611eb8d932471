package dotnet

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// request is an HTTP request, byte for byte but for the host and the token.
type request struct {
	method, target, version string
	headers                 []string
	body                    string
}

// text returns the bytes of a request. TOKEN, EXPIRED and HOST are replaced.
func (r *request) text(host, token, expired string) string {
	lines := append([]string{r.method + " " + r.target + " " + r.version, "Host: HOST"}, r.headers...)
	text := strings.Join(lines, "\r\n") + "\r\n\r\n" + r.body
	return strings.NewReplacer("HOST", host, "EXPIRED", expired, "TOKEN", token).Replace(text)
}

func (r *request) String() string {
	return strings.Join(append([]string{r.method, r.target, r.version}, r.headers...), " ") + " " + r.body
}

// upgradeHeaders returns the headers of an upgrade.
func upgradeHeaders() []string {
	return []string{
		"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
	}
}

// requests makes the requests that are compared.
func requests() (all []*request) {
	const bearer = "Authorization: Bearer TOKEN"
	upgrade := upgradeHeaders()
	add := func(method, target string, headers ...string) {
		if !slices.Contains([]string{http.MethodGet, http.MethodHead}, method) {
			headers = append(headers, "Content-Length: 0")
		}
		all = append(all, &request{method: method, target: target, version: "HTTP/1.1", headers: headers})
	}
	paths := []string{
		"/rte/negotiate", "/rte/negotiate/", "/RTE/Negotiate", "/rte%2fnegotiate", "/rte/%6eegotiate", "/rte//negotiate",
		"/rte/negotiate/x",
		"/rte", "/rte/", "/RTE", "/", "/other", "/rte/other", "/rtenegotiate", "/%72te",
	}
	methods := []string{"GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"}
	for _, path := range paths {
		for _, method := range methods {
			add(method, path, bearer)
			add(method, path)
		}
	}
	for _, query := range []string{
		"negotiateVersion=0", "negotiateVersion=1", "negotiateVersion=2", "negotiateVersion=99", "negotiateVersion=-1",
		"negotiateVersion=x",
		"negotiateVersion=", "negotiateVersion=1.0", "negotiateVersion=+1", "negotiateVersion=%201", "NegotiateVersion=1",
		"NEGOTIATEVERSION=1",
		"negotiateVersion=1&negotiateVersion=0", "negotiateVersion=99999999999",
		"useStatefulReconnect=true&negotiateVersion=1",
		"negotiateVersion=1&a=b&c", "negotiateVersion=%31", "%6eegotiateVersion=1", "negotiateVersion=1;a=b",
		"negotiateVersion",
	} {
		add("POST", "/rte/negotiate?"+query, bearer)
	}
	for _, path := range []string{"/rte/negotiate?negotiateVersion=1", "/rte"} {
		method := "POST"
		if path == "/rte" {
			method = "GET"
		}
		join := map[bool]string{true: "&", false: "?"}[strings.Contains(path, "?")]
		for _, authorization := range []string{
			"Authorization: Bearer", "Authorization: Bearer ", "Authorization: bearer TOKEN", "Authorization: BEARER TOKEN",
			"Authorization: Basic TOKEN", "Authorization: TOKEN", "Authorization: Bearer TOKENx",
			"Authorization: Bearer EXPIRED",
			"Authorization: Bearer x.y.z", "Authorization: Bearer  TOKEN", "authorization: Bearer TOKEN",
		} {
			add(method, path, authorization)
		}
		add(method, path+join+"access_token=TOKEN")
		add(method, path+join+"access_token=garbage")
		add(method, path+join+"access_token=EXPIRED")
		add(method, path+join+"access_token=", bearer)
		add(method, path+join+"Access_Token=TOKEN")
	}
	for _, id := range []string{"id=unknown", "id=", "ID=unknown", "id=a&id=b"} {
		for _, method := range []string{"GET", "POST", "DELETE", "PUT"} {
			add(method, "/rte?"+id, bearer)
		}
		add("GET", "/rte?"+id, append(slices.Clone(upgrade), bearer)...)
		add("GET", "/rte?"+id, bearer, "Accept: text/event-stream")
	}
	add("GET", "/rte", append(slices.Clone(upgrade), bearer)...)
	add("GET", "/rte?access_token=TOKEN", upgrade...)
	add("GET", "/rte", upgrade...)
	add("GET", "/RTE/", append(slices.Clone(upgrade), bearer)...)
	add("GET", "/rte/negotiate", append(slices.Clone(upgrade), bearer)...)
	add("POST", "/rte", append(slices.Clone(upgrade), bearer)...)
	for i := range upgrade {
		add("GET", "/rte", append(slices.Delete(slices.Clone(upgrade), i, i+1), bearer)...)
	}
	for _, change := range [][2]string{
		{"Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 12"},
		{"Upgrade: websocket", "Upgrade: WebSocket"},
		{"Upgrade: websocket", "Upgrade: h2c"},
		{"Connection: Upgrade", "Connection: keep-alive, upgrade"},
		{"dGhlIHNhbXBsZSBub25jZQ==", "short"},
		{"Connection: Upgrade", "Connection: close"},
	} {
		headers := strings.Split(strings.Replace(strings.Join(upgrade, "\n"), change[0], change[1], 1), "\n")
		add("GET", "/rte", append(headers, bearer)...)
	}
	all = append(
		all,
		&request{"POST", "/rte/negotiate", "HTTP/1.1", []string{bearer, "Content-Length: 5"}, "hello"},
		&request{
			"POST", "/rte/negotiate", "HTTP/1.1", []string{bearer, "Content-Type: application/json", "Content-Length: 2"}, "{}",
		},
		&request{
			"POST", "/rte/negotiate", "HTTP/1.1", []string{bearer, "Transfer-Encoding: chunked"}, "5\r\nhello\r\n0\r\n\r\n",
		},
		&request{"POST", "/rte/negotiate", "HTTP/1.1", []string{bearer}, ""},
		&request{"POST", "http://HOST/rte/negotiate", "HTTP/1.1", []string{bearer, "Content-Length: 0"}, ""},
	)
	return all
}

// ids are values of a negotiation that differ each time.
var ids = regexp.MustCompile(`"(connectionId|connectionToken)":"[^"]*"`)

// send sends a request and brings the answer into a form that can be compared.
func (r *request) send(host, token, expired string) (outcome, error) {
	conn, err := net.Dial("tcp", host)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(rtetest.Patience)); err != nil {
		return nil, err
	}
	if _, err := io.WriteString(conn, r.text(host, token, expired)); err != nil {
		return nil, err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: r.method})
	if err != nil {
		return outcome{"no answer"}, nil
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusSwitchingProtocols {
		return outcome{"101", response.Header.Get("Upgrade"), response.Header.Get("Sec-WebSocket-Accept")}, nil
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", response.Status, err)
	}
	text := strings.TrimSpace(string(body))
	text = ids.ReplaceAllString(text, `"$1":"..."`)
	return outcome{fmt.Sprint(response.StatusCode), response.Header.Get("Content-Type"), text}, nil
}

// compareRequests sends each request to both servers.
func (p *pair) compareRequests(t *testing.T) {
	t.Helper()
	expired := rtetest.MustTokenFor(
		t, authz.Claims{User: rtetest.MustID(t, entityID), Role: authz.RoleAgent}, -time.Hour,
	)
	y := &tally{meant: map[string]int{}}
	next := make(chan *request)
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for r := range next {
				ours, err := r.send(p.server, p.token, expired)
				if err != nil {
					t.Errorf("%s: rte-server: %v", r, err)
					continue
				}
				theirs, err := r.send(p.reference, p.token, expired)
				if err != nil {
					t.Errorf("%s: ASP.NET Core: %v", r, err)
					continue
				}
				y.add(r.String(), ours, theirs, reasonOfRequest(r, ours, theirs))
			}
		})
	}
	for _, r := range requests() {
		next <- r
	}
	close(next)
	workers.Wait()
	y.report(t)
}

// reasonOfRequest returns the name of the difference in package meant that two answers have; empty if it is none.
func reasonOfRequest(r *request, ours, theirs outcome) string {
	path, _, _ := strings.Cut(r.target, "?")
	switch {
	case ours[0] == "404" && theirs[0] != "404" && strings.Contains(path, "%"):
		return "escaped paths"
	case ours[0] == "404" && theirs[0] == "404" && (ours[2] == "404 page not found" || r.method == http.MethodHead):
		return "paths beside the hub"
	case ours[0] == "426", ours[0] == "400" && ours[2] == "The WebSocket upgrade is malformed.":
		return "malformed upgrades"
	case ours[0] == theirs[0] && ours[2] == theirs[2] && ours[2] == "No Connection with that ID":
		return "content type of 404"
	case ours[0] == "400" && strings.Contains(ours[2], "Transfer-Encoding"):
		return "transfer encodings"
	case strings.Contains(r.target, ";"):
		return "semicolons in a query"
	}
	return ""
}
