// Package e2e tests the built program with a real Redis, Microsoft's client in Node, and a browser. It contains only
// tests.
package e2e
