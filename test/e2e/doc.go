// Package e2e tests the program as its users meet it: the built binary, a real Redis, Microsoft's client in Node, and
// a browser. It holds nothing but tests.
package e2e
