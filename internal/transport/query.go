package transport

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/rte-server/rte-server/internal/authz"
)

// query are the parameters of a request. Names count in any case, as ASP.NET Core has it.
type query url.Values

// parseQuery takes what it understands and leaves out the rest, as (*url.URL).Query does.
func parseQuery(raw string) query {
	values, _ := url.ParseQuery(raw) // what is understood counts
	return query(values)
}

// value is the value of a parameter; values that come several times are joined, as ASP.NET Core has it.
func (q query) value(name string) string { return strings.Join(q.values(name), ",") }

func (q query) values(name string) []string {
	var values []string
	for key, some := range q {
		if strings.EqualFold(key, name) {
			values = append(values, some...)
		}
	}
	return values
}

// request is a request of a client whose token is good.
type request struct {
	*http.Request
	query  query
	claims *authz.Claims
}
