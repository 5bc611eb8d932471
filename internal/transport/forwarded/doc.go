// Package forwarded owns the addresses of clients behind proxies: which proxies are trusted, the headers
// X-Forwarded-For and Forwarded (RFC 7239), and the PROXY protocol. The check of the configuration and the server use
// the same code. It imports nothing of ours.
package forwarded
