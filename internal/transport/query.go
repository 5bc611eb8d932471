package transport

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/rte-server/rte-server/internal/authz"
)

// query holds the parameters of a request. Names match in any case, as in ASP.NET Core.
type query url.Values

// parseQuery parses a query and skips malformed parameters, as (*url.URL).Query does.
func parseQuery(raw string) query {
	values, _ := url.ParseQuery(raw) // the well-formed parameters count
	return query(values)
}

// value returns the value of a parameter. It joins the values of repeated parameters with commas, as ASP.NET Core does.
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

// request is a request with a valid token.
type request struct {
	*http.Request
	query  query
	claims *authz.Claims
	owner  owner
	ticket bool // in place of a token
}
