// Package demo is the development server's part: it plays a simulated call centre against the clock, and serves tokens,
// the wallboard and the state that the wallboard begins with. In production, use it only as a source of load.
package demo
