// Package demo is a call centre that does not exist: an organization with well-known ids, a simulator that lives its
// day and publishes the events of it, and what a development server answers over HTTP, the wallboard included. Nothing
// of it has a place in production but the simulator as a source of load.
package demo
