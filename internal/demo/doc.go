// Package demo is a fictitious call centre: an organization with constant ids, a simulator that publishes the events of
// its day, and the HTTP handler of the development server with the wallboard. In production, use it only as a source of
// load.
package demo
