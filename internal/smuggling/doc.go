// Package smuggling refuses requests whose end two HTTP parsers could see in different places (RFC 9112 sections 6.3
// and 11.2). If a proxy in front of the server sees another end than net/http, it gives one client the answer, or the
// request, of another client on the same connection.
//
// net/http accepts some of these requests and gives its handler no sign of them. So Conn reads along: it follows the
// heads and the bodies of a connection. When it refuses a head, it replaces the rest by a line that net/http answers
// with 400. Lines must end with CR LF, no line may continue another one, Content-Length comes once and not beside
// Transfer-Encoding, and HTTP/1.0 has no Transfer-Encoding. net/http itself refuses all other mistakes.
package smuggling
