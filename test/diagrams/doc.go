// Package diagrams checks that the pictures in docs/images/diagrams are what "make diagrams" makes of their sources,
// and that a page shows each of them.
package diagrams
